"""MER on streams of labelled examples: the experiments in which the authors introduced it, with their baselines.

It stands beside the reinforcement-learning agents and knows nothing of them. A model of your own needs `CrossEntropy`,
`ExampleMemory` and `MERUpdate` of `dqn_mer`; the command is ``python -m dqn_mer supervised``.
"""
