# The image of one Aegis node. scripts/rehearse-image.mjs performs these same steps in CI, without a container.
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
RUN npm ci
COPY scripts ./scripts
COPY src ./src
RUN npm run build

FROM node:24-slim AS packages
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
RUN mkdir data

FROM node:24-slim AS server
ENV NODE_ENV=production
ENV AEGIS_HOST=0.0.0.0
ENV AEGIS_PORT=7400
ENV AEGIS_ADMIN_PORT=7401
ENV AEGIS_STORE=lmdb:/data
WORKDIR /app
COPY --from=packages /packages/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
COPY --from=packages --chown=10001:10001 /packages/data /data
USER 10001:10001
VOLUME /data
EXPOSE 7400
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.AEGIS_ADMIN_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=64", "dist/main.js"]
CMD ["serve"]
