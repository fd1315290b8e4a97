# The images of docker-compose.yml: `emulators` has Kinesis and DynamoDB for one machine, `payments` all of ours.
FROM node:20-slim AS emulators
WORKDIR /emulators
COPY demo/stack/package.json demo/stack/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY demo/stack/kinesis.cjs demo/stack/kinesis.cjs
USER node
ENTRYPOINT ["node"]

FROM python:3.11-slim AS payments
RUN apt-get update && apt-get install --yes --no-install-recommends make openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/payments
COPY Makefile requirements-kcl.lock requirements-kcl.sha256 ./
COPY demo/stack/package-lock.json demo/stack/
COPY pipeline/__init__.py pipeline/tool_cache.py pipeline/
COPY pipeline/kcl_daemon/__init__.py pipeline/kcl_daemon/class_archive.py pipeline/kcl_daemon/
ENV XDG_CACHE_HOME=/opt/cache
RUN make kcl
COPY . .
RUN make .venv/.installed && useradd --create-home payments && mkdir /data && chown payments /data
ENV PATH=/opt/payments/.venv/bin:$PATH
USER payments
