# Production image: the source as it is (Node strips the types), production dependencies, an unprivileged user.
# What is compiled or built is made in a stage of its own, whose tools (Vite, the icon collection) stay there.
FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# With optional dependencies: Vite's are its compilers.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY providers.yaml vite.config.ts ./
COPY bin ./bin
COPY src ./src
# What `npm ci` does elsewhere: provider catalogue, logos, Connect UI.
RUN npm run prepare

FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The optional dependencies are copies of Node for machines without one; this image has its own.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force \
    && rm -rf node_modules/vite node_modules/rolldown node_modules/lightningcss node_modules/simple-icons

FROM node:26-slim
# In a container "all interfaces" is the container; what of it is published is decided outside.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3003 \
    VALETKEY_DATA_DIR=/data \
    NODE_COMPILE_CACHE=/app/.compile-cache
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE providers.yaml ./
COPY migrations ./migrations
COPY bin ./bin
COPY src ./src
COPY --from=build --chown=node:node /app/dist ./dist
# /data: the embedded database and its key, when no DATABASE_URL is given.
RUN install -d -o node -g node -m 0700 /data /app/.compile-cache
VOLUME /data
USER node
# Compiles every module once, here, instead of at the start of every container.
RUN node bin/valetkey providers compile
EXPOSE 3003
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Without a shell in between, signals reach Node, which lets work finish before it ends.
ENTRYPOINT ["node", "bin/valetkey"]
CMD ["serve"]
