# Three stages: what is needed to build, what is needed to run, and the image.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY bin ./bin
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The optional packages are an embedded database and a Node for old machines. A container has its own Node, and a
# database beside it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="Penstock" \
      org.opencontainers.image.description="Self-hosted mail ingestion" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    PENSTOCK_HOST=0.0.0.0 \
    PENSTOCK_PORT=8080 \
    PENSTOCK_DATA=/data \
    PENSTOCK_LOG_FORMAT=json
WORKDIR /app
COPY package.json ./
COPY config ./config
COPY bin ./bin
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# Made here, so that a new volume belongs to the user that writes to it.
RUN ln -s /app/bin/penstock.mjs /usr/local/bin/penstock && install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/bin/healthcheck.mjs"]
# A small young generation and one helper thread: half the memory under load, at the same speed.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--v8-pool-size=1", "/app/bin/penstock.mjs"]
CMD ["start"]
