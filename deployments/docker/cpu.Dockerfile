# ganmill without CUDA: Prefect's server, a worker, and the command line, all in one image.
#
#     docker build --file deployments/docker/cpu.Dockerfile --tag ganmill:cpu .
#
# Behind a mirror: --build-arg PIP_INDEX_URL=… --build-arg TORCH_INDEX=…
# Recipes from git+https://… (`ganmill deploy`), 200 MB more: --build-arg PACKAGES=git
# A worker for Kubernetes: --build-arg EXTRA=prefect-kubernetes==0.8.0 --tag ganmill:kubernetes
# A node of Ray on Kubernetes: --build-arg EXTRA=ray[default,client]==2.60.0 --build-arg PACKAGES=wget

FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG PIP_INDEX_URL
ARG EXTRA=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/ganmill
COPY constraints.txt ./
# The CPU build is named by its suffix, so that no index can offer the one with CUDA instead.
RUN /opt/ganmill/bin/pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" \
      "torch==$(sed -n 's/^torch==//p' constraints.txt)+cpu"
COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY gan gan
COPY storage storage
RUN /opt/ganmill/bin/pip install --constraint constraints.txt ".[jobs]" ${EXTRA:+"$EXTRA"}

FROM python:3.11-slim-bookworm
ARG PACKAGES=
# hadolint ignore=DL3008,SC2086
RUN if [ -n "$PACKAGES" ]; then apt-get update \
 && apt-get install --yes --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; fi
RUN groupadd --gid 10001 ganmill \
 && useradd --uid 10001 --gid ganmill --home-dir /var/lib/ganmill --create-home ganmill \
 && install --directory --owner ganmill --group ganmill /var/lib/ganmill/work /var/lib/ganmill/prefect
COPY --from=build /opt/ganmill /opt/ganmill
COPY --chmod=755 deployments/docker/entry.sh /usr/local/bin/entry.sh
ENV PATH=/opt/ganmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT=false \
    PREFECT_UI_STATIC_DIRECTORY=/var/lib/ganmill/ui \
    PREFECT_HOME=/var/lib/ganmill/prefect \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 \
    PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem \
    PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 \
    GANMILL_WORK_FOLDER=/var/lib/ganmill/work
WORKDIR /var/lib/ganmill
USER 10001:10001
# The worker says here whether it still asks for runs; the server has another check, see compose.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health', timeout=5)"]
ENTRYPOINT ["entry.sh"]
# One run at a time: memory and cores are the run's own. More runs at once need more workers.
CMD ["ganmill", "worker", "--pool", "ganmill", "--limit", "1", "--with-healthcheck"]
