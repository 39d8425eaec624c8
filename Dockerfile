# Two stages: the first builds the environment, the second holds it and nothing that built it.
#   docker build -t gan_lab .
#   docker run --rm -v "$PWD/outputs:/outputs" gan_lab train data=ring
# On a machine without a GPU the CPU build of torch is a tenth of the size:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t gan_lab .
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build

ARG TORCH_INDEX=
WORKDIR /source
RUN python -m venv /opt/gan_lab
RUN if [ -n "$TORCH_INDEX" ]; then \
      /opt/gan_lab/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY gan_lab ./gan_lab
COPY conf ./conf
RUN /opt/gan_lab/bin/pip install --no-cache-dir "."

FROM python:${PYTHON}-slim
COPY --from=build /opt/gan_lab /opt/gan_lab
RUN useradd --create-home --uid 1000 lab && install -d -o lab /outputs
USER lab
# The working directory's parent: runs go to ./outputs, which is the volume.
WORKDIR /
ENV PATH=/opt/gan_lab/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1
VOLUME /outputs
ENTRYPOINT ["python", "-m", "gan_lab"]
CMD ["train"]
