# Training DQN with Meta-Experience Replay in a container, on a CPU or a GPU.
#
# Build, with PyTorch as PyPI has it (on x86-64 Linux that brings CUDA, several GB), or much smaller for the CPU only
# (URL: the CPU index that PyTorch's installation page names):
#   docker build -t dqn-mer .
#   docker build -t dqn-mer --build-arg PIP_EXTRA_INDEX_URL=URL --build-arg TORCH=torch==2.13.0+cpu .
#
# Train; all flags of train.py follow the image's name, and runs are kept in the volume:
#   docker run --rm -v dqn-mer-runs:/runs dqn-mer --preset quick
#   docker run --rm -v dqn-mer-runs:/runs --gpus all dqn-mer --game flappy_bird --device cuda
#
# Resume a stopped run (a stop saves first: give it more than docker's ten seconds, as `docker stop --time 60 NAME`):
#   docker run --rm -v dqn-mer-runs:/runs dqn-mer --resume /runs/NAME
#
# The same with a folder of the host, which must exist (mkdir -p runs), as its owner:
#   docker run --rm -v "$PWD/runs:/runs" --user "$(id -u):$(id -g)" dqn-mer --preset quick
#
# Watch in TensorBoard, on port 6006 of this machine alone (it asks for no password):
#   docker run --rm -v dqn-mer-runs:/runs -p 127.0.0.1:6006:6006 --entrypoint tensorboard dqn-mer --logdir /runs --bind_all
#
# All of these also run without privileges, on a root file system that cannot be written to, as compose.yaml starts them:
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -v dqn-mer-runs:/runs dqn-mer
#
# Evaluate a run:
#   docker run --rm -v dqn-mer-runs:/runs --entrypoint python dqn-mer -m dqn_mer evaluate /runs/NAME

# Any image with Python 3.11 or newer and its venv module.
ARG BASE_IMAGE=python:3.11.14-slim-bookworm
FROM ${BASE_IMAGE}

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN python3 -m venv /opt/venv \
    && useradd --create-home --uid 1000 trainer \
    && install -d -m 1777 /runs \
    && mkdir /app && ln -s /runs /app/runs

WORKDIR /app

# The slowest layers first: PyTorch, then the other dependencies; a change of the code comes after both.
# Build arguments are environment variables here, so pip reads these two by itself.
ARG TORCH=torch==2.13.0
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt ./
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && pip install -c /tmp/constraints.txt "$TORCH"

COPY pyproject.toml ./
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        extra = p["optional-dependencies"]; \
        print(*p["dependencies"], *extra["video"], sep="\n")' > /tmp/requirements.txt \
    && pip install -c /tmp/constraints.txt -r /tmp/requirements.txt setuptools

COPY README.md LICENSE train.py ./
COPY envs envs
COPY dqn_mer dqn_mer
RUN pip install --no-deps --no-build-isolation -e .

# No screen and no sound; caches where any user may write, and nothing else is; what a GPU is used for.
ENV SDL_VIDEODRIVER=dummy \
    SDL_AUDIODRIVER=dummy \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER trainer
VOLUME /runs
EXPOSE 6006
# Python as the container's first process would ignore the usual SIGTERM of `docker stop`.
STOPSIGNAL SIGINT
# The default folder of runs is the volume.
ENTRYPOINT ["python", "train.py"]
