"""What all tests share."""

from dqn_mer.processor import prepare_processor

prepare_processor(1)  # tests run beside each other and beside training; more threads would only wait
