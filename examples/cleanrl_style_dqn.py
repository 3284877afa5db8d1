"""DQN as a single file in the style of CleanRL, on the changing stream: ``python examples/cleanrl_style_dqn.py 0``.

The word after it is the seed. The run folder in runs/ is that of any agent, for ``python -m dqn_mer compare``.
"""

import sys
from collections import deque

import numpy as np
import torch
from torch import nn

from dqn_mer import StreamRun

OPTIONS = {
    "learning_rate": 3e-4, "buffer_size": 50_000, "batch_size": 32, "gamma": 0.99, "target_period": 100,
    "learning_starts": 1_000, "exploration_frames": 10_000, "final_epsilon": 0.01,
}  # fmt: skip


def train(seed: int, options: dict[str, float] = OPTIONS, **choices: object) -> nn.Module:
    """Train, and return the network; the choices are fields of `Config` that say what is played."""
    env = StreamRun("cleanrl-dqn", observation="state", seed=seed, options=options, **choices)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    (features,), actions = env.observation_space.shape, int(env.action_space.n)
    q, target = (nn.Sequential(nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, actions)) for _ in range(2))
    target.load_state_dict(q.state_dict())
    optimizer = torch.optim.Adam(q.parameters(), lr=options["learning_rate"])
    buffer = deque(maxlen=options["buffer_size"])
    env.policy = lambda observations: q(torch.as_tensor(observations)).argmax(1).numpy()  # what is evaluated
    observation, _ = env.reset()
    while env.frame < env.frames:
        epsilon = max(options["final_epsilon"], 1 - env.frame / options["exploration_frames"])
        action = rng.integers(actions) if rng.random() < epsilon else env.policy(observation[np.newaxis])[0]
        period = env.frame // options["target_period"]
        next_observation, reward, terminated, truncated, _ = env.step(action)
        buffer.append((observation, action, np.float32(reward), next_observation, terminated))
        observation = env.reset()[0] if terminated or truncated else next_observation
        if env.frame < options["learning_starts"]:
            continue
        drawn = [buffer[place] for place in rng.integers(len(buffer), size=options["batch_size"])]
        seen, chosen, rewards, then, ended = (torch.as_tensor(np.stack(part)) for part in zip(*drawn, strict=True))
        with torch.no_grad():
            goals = rewards + options["gamma"] * target(then).amax(1) * ~ended
        loss = nn.functional.mse_loss(q(seen).gather(1, chosen[:, np.newaxis])[:, 0], goals)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if env.frame // options["target_period"] > period:  # with frame_skip a step is several frames
            target.load_state_dict(q.state_dict())
    env.finish()
    env.close()
    return q


if __name__ == "__main__":
    train(int(sys.argv[1]), game="catcher")
