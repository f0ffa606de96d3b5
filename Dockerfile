# A complete build machine: Debian 13 has Emscripten 3.1.69, clang 19 and Node 20 as packages.
#
#   docker build -t offline-ai-sync .
#   docker run --rm offline-ai-sync                  # npm test
#   docker run --rm -p 8787:8787 offline-ai-sync npm run demo -- --host 0.0.0.0
FROM debian:trixie

RUN apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ca-certificates git nodejs npm \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /src
# The slow layers first: they change only with the scripts and the lockfile.
COPY scripts/toolchain.sh scripts/toolchain.sh
RUN scripts/toolchain.sh --browser --databases
COPY package.json package-lock.json .npmrc ./
RUN npm ci --loglevel=error
COPY . .
CMD ["npm", "test"]
