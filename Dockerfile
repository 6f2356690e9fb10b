# One image for every process of Muster; the command says which: worker.ts, scheduler.ts, console.ts, or muster.ts with a command.
# It holds no database: DATABASE_URL and MUSTER_SECRET must be given. docs/operations.md tells the rest; compose.yaml uses it.

FROM node:26-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The versions are the lockfile's. "npm ci" is stricter and refuses a lockfile that lacks programs for other platforms.
# Left out: what only tests need, and the optional parts, which are another Node and the embedded PostgreSQL.
RUN npm install --no-save --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:26-trixie-slim
ENV NODE_ENV=production MUSTER_HOME=/var/lib/muster
WORKDIR /app
RUN install -d -o node -g node -m 711 /var/lib/muster
COPY --from=packages /app/node_modules node_modules
COPY . .
USER node
# The built-in mailbox, where no SMTP_URL is given; nothing else is written to disk.
VOLUME /var/lib/muster
ENTRYPOINT ["node"]
CMD ["worker.ts"]
