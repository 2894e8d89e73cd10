# The service alone: no tests, no rollout tools, no compiler, no Redis. docs/how-to/build-the-image.md: how to check.
# BASE may be any image whose python3 is 3.11 or later and has venv with ensurepip.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
# pip comes from a venv of its own, so that none is left in the one that is shipped.
RUN python3 -m venv pip && python3 -m venv --without-pip /opt/venv
COPY requirements/service.txt .
# A private package index: docker build --secret id=pip.conf,src=pip.conf
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
      --only-binary :all: --require-hashes -r service.txt
COPY svc /app/svc
# Compiled here because the root file system may be read-only there. Unchecked: nobody edits an
# image's sources, and a layer's file times need not survive.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib /app

FROM ${BASE}
# The base's pip, where it has one that can be removed.
RUN python3 -m pip uninstall --yes --quiet pip 2>/dev/null || true
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KV_HOST=0.0.0.0 \
    KV_STORE_URL=redis://redis:6379 \
    KV_DATA_DIR=/data
USER 65532:65532
EXPOSE 8080 9102
# All addresses are the container's: with neither KV_TOKENS_FILE nor KV_AUTH=none it does not start.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-m", "svc.probe", "/livez"]
ENTRYPOINT ["python", "-m", "svc"]
CMD ["serve"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tallykv" \
      org.opencontainers.image.description="A key-value and counter service over Redis" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
