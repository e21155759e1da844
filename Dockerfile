# One image for `runs worker` and `runs serve`. glibc, not Alpine: Temporal's native module has no musl build.
FROM node:22.23.3-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script, so none is run.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# dist/ holds the workflow bundle too: a worker that bundles at start is a second slower and can differ from its twin.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22.23.3-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/bin ./bin
COPY --from=build /app/dist ./dist
USER node
EXPOSE 8787
ENTRYPOINT ["node", "bin/runs.mjs"]
CMD ["worker"]
