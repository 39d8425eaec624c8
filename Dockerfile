# The CPU image, and with VARIANT=cuda the one for NVIDIA's GPUs:
#   docker build --tag gan_lab:cpu .
#   docker build --tag gan_lab:cuda --build-arg VARIANT=cuda .
# What a run writes goes to /outputs: a folder of the host, written as whoever started it.
#   docker run --rm --init --user "$(id -u):$(id -g)" --volume "$PWD/outputs:/outputs" \
#     gan_lab:cpu train data=ring
# The tests, and the tools they need, are in an image of their own:
#   docker build --tag gan_lab:test --target test . && docker run --rm --init gan_lab:test
# constraints.txt pins every package (scripts/lock.sh renews it), the tag the base; to the bit:
#   docker build --build-arg BASE=python:3.13-slim-trixie@sha256:... .
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS base
# --user may name a uid that has no entry in /etc/passwd: nobody asks for one.
ENV PATH=/opt/gan_lab/bin:$PATH \
    HOME=/tmp \
    USER=lab \
    PYTHONUNBUFFERED=1

FROM base AS environment
ARG VARIANT=cpu
WORKDIR /source
COPY pyproject.toml constraints.txt ./
# The CPU index has only the two builds of torch; all else is PyPI's, and in the same versions.
RUN case "$VARIANT" in \
      cpu) index="--index-url https://download.pytorch.org/whl/cpu" ;; \
      cuda) index= ;; \
      *) echo "VARIANT=$VARIANT is neither cpu nor cuda" >&2; exit 2 ;; \
    esac \
    && python3 -m venv /opt/gan_lab \
    && python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt --no-deps $index torch torchvision \
    && pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt

FROM environment AS package
COPY README.md LICENSE ./
COPY gan_lab ./gan_lab
COPY conf ./conf
RUN pip install --no-cache-dir --no-deps --prefix /opt/package .

FROM environment AS test
# For torch.compile, and for tests that count processes or make a repository.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git procps \
    && rm -rf /var/lib/apt/lists/*
COPY . ./
RUN pip install --no-cache-dir --constraint constraints.txt --editable ".[dev]"
ENV OMP_NUM_THREADS=1 \
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
USER 1000:1000
ENTRYPOINT ["python", "-m", "pytest", "-p", "no:cacheprovider", "--numprocesses", "auto", "--dist", "worksteal"]

FROM base
ARG REVISION=
LABEL org.opencontainers.image.title="gan_lab" \
      org.opencontainers.image.description="A laboratory for GANs and Wasserstein GANs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"
RUN install --directory --mode 1777 /outputs
COPY --from=environment /opt/gan_lab /opt/gan_lab
# On top of what changes seldom, the one small layer that changes with the code.
COPY --from=package /opt/package /opt/gan_lab
USER 1000:1000
# Runs go to ./outputs.
WORKDIR /
ENTRYPOINT ["python", "-m", "gan_lab"]
CMD ["--help"]
