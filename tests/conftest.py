"""What all tests share."""

import torch
from threadpoolctl import threadpool_limits

torch.set_num_threads(1)  # small tests: more threads would only wait for each other
threadpool_limits(1)
