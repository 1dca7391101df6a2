# Four images from one file, each chosen with --target:
#
#   gateway           the HTTP service; no TensorFlow
#   serving-openvino  the embedded model server on its second engine, OpenVINO; no TensorFlow
#   serving           the embedded model server, with TensorFlow Serving's commands and flags
#   exporter          publishes models; it is `serving` plus Keras sources and OpenVINO, because a
#                     version is proven on real model servers before anybody sees it
#
# Builds with BuildKit and with the classic builder of Engine 20.10 (no RUN --mount, no heredocs).
# The classic builder runs every stage above its target, so the cheap targets come first.
ARG PYTHON_IMAGE=python:3.13-slim-trixie


# --- what every image starts from --------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
# 10001: above the accounts of any distribution, so that it never meets a user of the host.
# The base's pip goes: nothing is installed at run time. /models and /cache are there for new volumes
# to inherit their owner.
RUN groupadd --gid 10001 sightserve \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sightserve \
 && rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip \
 && install --directory --owner=10001 --group=10001 /models /cache
# HOME is the one place that stays writable under a read-only root (a tmpfs on /tmp).
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/sightserve \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /opt/sightserve
USER 10001:10001
# For whoever looks at an image; the version that the programs name is pyproject.toml's.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


# --- installing: pip lives beside the environment that it fills, never inside it ----------------
FROM ${PYTHON_IMAGE} AS installer
# Taken from --build-arg where the default index is out of reach.
ARG PIP_INDEX_URL
ENV PIP_DEFAULT_TIMEOUT=120 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/venv
WORKDIR /opt/sightserve

# Our own version, where importlib.metadata looks for it.
FROM installer AS code
COPY pyproject.toml /tmp/
RUN version="$(python -c 'import tomllib; print(tomllib.load(open("/tmp/pyproject.toml", "rb"))["project"]["version"])')" \
 && mkdir "sightserve-${version}.dist-info" \
 && printf 'Metadata-Version: 2.1\nName: sightserve\nVersion: %s\n' "${version}" \
    > "sightserve-${version}.dist-info/METADATA"


# --- gateway -----------------------------------------------------------------------------------
FROM installer AS gateway-packages
# otel.lock has what sends traces, too.
ARG GATEWAY_LOCK=gateway.lock
COPY requirements/${GATEWAY_LOCK} requirements/
# --no-deps: the locks are complete. A package that has no wheel fails here rather than compiling.
RUN /opt/pip/bin/pip --python /opt/venv/bin/python install --quiet --only-binary=:all: \
    --require-hashes --no-deps -r "requirements/${GATEWAY_LOCK}"

# Byte code is written now: the root is read-only later. The hash is not checked at run time, so
# that a COPY that changes time stamps cannot make Python compile again.
FROM code AS gateway-code
COPY contract contract
COPY protocol protocol
COPY app app
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM runtime AS gateway
LABEL org.opencontainers.image.title="Sightserve gateway" \
      org.opencontainers.image.description="Photos in, labels out: the HTTP service in front of TensorFlow Serving"
COPY --from=gateway-packages /opt/venv /opt/venv
COPY --from=gateway-code /opt/sightserve /opt/sightserve
COPY deploy/images/gateway-ready.sh /usr/local/bin/
# Who reaches a container's port is decided outside of it.
ENV GATEWAY_HOST=0.0.0.0
EXPOSE 8000
# The first check runs one interval after the start, hence the short one.
HEALTHCHECK --interval=2s --timeout=2s --start-period=30s --retries=3 CMD ["gateway-ready.sh"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "app"]


# --- serving-openvino --------------------------------------------------------------------------
FROM installer AS openvino-packages
COPY requirements/openvino.lock requirements/
# The drivers of GPUs and NPUs are 61 MB; this server computes on the CPU.
RUN /opt/pip/bin/pip --python /opt/venv/bin/python install --quiet --only-binary=:all: \
    --require-hashes --no-deps -r requirements/openvino.lock \
 && cd /opt/venv/lib/python3.*/site-packages/openvino/libs \
 && rm -f libopenvino_intel_gpu_plugin.so libopenvino_intel_npu_plugin.so cache.json

FROM code AS openvino-code
COPY contract contract
COPY protocol protocol
COPY serving serving
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM runtime AS serving-openvino
LABEL org.opencontainers.image.title="Sightserve embedded model server on OpenVINO" \
      org.opencontainers.image.description="TensorFlow Serving's protocol and flags without TensorFlow, for versions that the exporter has converted"
COPY --from=openvino-packages /opt/venv /opt/venv
COPY --from=openvino-code /opt/sightserve /opt/sightserve
COPY deploy/images/openvino deploy/images/tf_serving_entrypoint.sh \
     k8s/model-server/model-state.sh /usr/local/bin/
# The defaults of tensorflow/serving's image.
ENV MODEL_NAME=model MODEL_BASE_PATH=/models
EXPOSE 8500 8501
HEALTHCHECK --interval=2s --timeout=2s --start-period=5m --retries=3 CMD model-state.sh "$MODEL_NAME"
STOPSIGNAL SIGTERM
ENTRYPOINT ["tf_serving_entrypoint.sh"]


# --- serving -----------------------------------------------------------------------------------
FROM installer AS serving-packages
COPY requirements/serving.lock requirements/
# TensorFlow's C++ headers are 236 MB that only a compiler reads.
RUN /opt/pip/bin/pip --python /opt/venv/bin/python install --quiet --only-binary=:all: \
    --require-hashes --no-deps -r requirements/serving.lock \
 && rm -rf /opt/venv/lib/python3.*/site-packages/tensorflow/include

FROM code AS serving-code
COPY protocol protocol
COPY serving serving
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM runtime AS serving
LABEL org.opencontainers.image.title="Sightserve embedded model server" \
      org.opencontainers.image.description="TensorFlow Serving's protocol and flags, wherever TensorFlow's wheel runs"
COPY --from=serving-packages /opt/venv /opt/venv
COPY --from=serving-code /opt/sightserve /opt/sightserve
COPY deploy/images/tensorflow_model_server deploy/images/tf_serving_entrypoint.sh \
     k8s/model-server/model-state.sh /usr/local/bin/
# The defaults of tensorflow/serving's image.
ENV MODEL_NAME=model MODEL_BASE_PATH=/models TF_CPP_MIN_LOG_LEVEL=1
EXPOSE 8500 8501
HEALTHCHECK --interval=2s --timeout=2s --start-period=5m --retries=3 CMD model-state.sh "$MODEL_NAME"
STOPSIGNAL SIGTERM
ENTRYPOINT ["tf_serving_entrypoint.sh"]


# --- exporter ----------------------------------------------------------------------------------
# Only what the exporter needs on top of `serving` is kept, so that both images share TensorFlow.
# `protocol` is there already. OpenVINO: versions are converted for it, and proven on it.
FROM serving-packages AS exporter-packages
COPY requirements/exporter.lock requirements/openvino.lock requirements/
RUN touch /before \
 && /opt/pip/bin/pip --python /opt/venv/bin/python install --quiet --only-binary=:all: \
    --require-hashes --no-deps -r requirements/exporter.lock -r requirements/openvino.lock \
 && (cd /opt/venv/lib/python3.*/site-packages/openvino/libs \
     && rm -f libopenvino_intel_gpu_plugin.so libopenvino_intel_npu_plugin.so cache.json) \
 && mkdir /added && cd /opt/venv \
 && find . -cnewer /before ! -type d -print0 | tar --create --null --files-from=- | tar --extract --directory=/added

FROM code AS exporter-code
COPY contract contract
COPY exporter exporter
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM serving AS exporter
LABEL org.opencontainers.image.title="Sightserve exporter" \
      org.opencontainers.image.description="Turns a Keras classifier into a proven, versioned SavedModel"
COPY --from=exporter-packages /added /opt/venv
COPY --from=exporter-code /opt/sightserve /opt/sightserve
ENV EXPORTER_BASE_PATH=/models
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "exporter"]
CMD ["--help"]
