# One image per context: `make image CONTEXT=orders`. It contains that context, the platform and the
# contracts, and nothing of other contexts. Server, worker, migrations and the steps of a rollout
# are commands of it: `intent serve`, `intent worker`, `intent migrate`, `intent deploy`.
#
# Both bases need the same Python, 3.11 or newer, in the same place; the first one also needs venv.
ARG BUILD_BASE=python:3.13-slim
ARG BASE=python:3.13-slim

# checkov:skip=CKV_DOCKER_7:the bases are arguments, and their defaults have tags
# hadolint ignore=DL3006
FROM ${BUILD_BASE} AS build
ENV PIP_CACHE_DIR=/var/cache/packages/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SOURCE_DATE_EPOCH=1577836800 \
    UV_CACHE_DIR=/var/cache/packages/uv \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_SYSTEM_CERTS=true
WORKDIR /src

# The secrets `pip` (a pip.conf) and `uv` (a uv.toml) may set the package sources.
COPY requirements/uv.txt requirements/build.txt requirements/
RUN --mount=type=cache,target=/var/cache/packages \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=uv,target=/etc/uv/uv.toml \
    python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --quiet --require-hashes -r requirements/uv.txt \
    && /opt/uv/bin/uv venv --quiet /opt/build \
    && /opt/uv/bin/uv pip install --quiet --python /opt/build --require-hashes -r requirements/build.txt

# EXTRA names further pins, e.g. kubernetes for `intent deploy retire`.
ARG CONTEXT
ARG EXTRA=""
COPY requirements requirements
RUN --mount=type=cache,target=/var/cache/packages \
    --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=uv,target=/etc/uv/uv.toml \
    if [ ! -f "requirements/${CONTEXT}.txt" ]; then \
        echo "which context? --build-arg CONTEXT=NAME, a folder in contexts/, not '${CONTEXT}'" >&2; exit 1; fi \
    && /opt/uv/bin/uv venv --quiet /opt/intent \
    && for pins in "${CONTEXT}" ${EXTRA}; do \
        /opt/uv/bin/uv pip install --quiet --compile-bytecode --python /opt/intent \
            --require-hashes -r "requirements/${pins}.txt" || exit 1; done

# The sources come last because they change most. Files that no process loads are removed.
COPY proto proto
COPY shared shared
COPY contexts/${CONTEXT} contexts/${CONTEXT}
RUN for member in proto shared "contexts/${CONTEXT}"; do \
        /opt/uv/bin/uv build --quiet --wheel --no-build-isolation --python /opt/build/bin/python \
            --out-dir /wheels "${member}" || exit 1; done \
    && /opt/uv/bin/uv pip install --quiet --compile-bytecode --python /opt/intent --no-deps --no-index \
        /wheels/*.whl \
    && rm -r /opt/intent/lib/python3.*/site-packages/temporalio/bridge/sdk-core \
    && find /opt/intent -name tests -type d -prune -exec rm -r {} + \
    && find /opt/intent -type f \( -name '*.c' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.pyx' \) -delete \
    && find /opt/intent/bin -name 'activate*' -delete

# hadolint ignore=DL3006
FROM ${BASE} AS run
# Nothing that runs installs anything. Without a shell, which a base need not have.
USER 0:0
RUN ["python3", "-c", "import glob, os, shutil, sys, sysconfig; from importlib.util import find_spec; found = [spec.submodule_search_locations[0] for name in ('pip', 'ensurepip') if (spec := find_spec(name))]; found += [one for path in found for one in glob.glob(os.path.dirname(path) + '/pip-*-info')]; found += [one for path in {os.path.dirname(sys.executable), sysconfig.get_path('scripts')} for one in glob.glob(path + '/pip*')]; [shutil.rmtree(path) if os.path.isdir(path) else os.remove(path) for path in found]"]
COPY --from=build /opt/intent /opt/intent
ARG CONTEXT
ENV PATH=/opt/intent/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    INTENT_CONTEXT=${CONTEXT} \
    INTENT_HOST=0.0.0.0 \
    INTENT_METRICS_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
EXPOSE 7400 9400
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('INTENT_METRICS_PORT', '9400') + '/readyz')"]
ENTRYPOINT ["intent"]
CMD ["serve"]

# For Tilt: sources that change while the container runs take precedence over installed code, and `intent`
# restarts its process on a signal that they have changed.
FROM run AS dev
ARG CONTEXT
COPY --chown=10001:10001 proto /src/proto
COPY --chown=10001:10001 shared/intent /src/shared/intent
COPY --chown=10001:10001 contexts/${CONTEXT} /src/contexts/${CONTEXT}
COPY tilt/reload.py /opt/dev/intent
ENV PATH=/opt/dev:/opt/intent/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE="" \
    PYTHONPATH=/src/shared:/src/proto/src:/src/contexts/${CONTEXT}

FROM run AS final
ARG CONTEXT
ARG VERSION=0.0.0
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="intent/${CONTEXT}" \
      org.opencontainers.image.description="The context ${CONTEXT} on Intent: server, worker and migrations" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
