#!/usr/bin/env bash
# Makes a stand-in for python:3.13-slim-trixie where no image can be pulled.
#
#   base_image.sh TAG
#
# The stand-in is Debian trixie with its own Python 3.13, as close to the real image as the
# Dockerfile needs: `python` on PATH, the venv module, bash, certificates. Needs root, debootstrap
# and a Docker engine. A mirror other than debootstrap's own goes into DEBIAN_MIRROR.
set -euo pipefail

tag="${1:?usage: base_image.sh TAG}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
root="$work/root"

debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
  trixie "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 \
  || { tail -n 20 "$work/log" >&2; exit 1; }

# The official image calls its interpreter /usr/local/bin/python.
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
ln -s /usr/bin/python3 "$root/usr/local/bin/python3"

# Behind a proxy that inspects TLS, only the host's bundle holds the authority that pip meets.
bundle="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
cp --remove-destination "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"

# What the official slim image does not carry either.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*

tar --create --one-file-system --numeric-owner --directory "$root" \
  --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' . \
  | docker import \
      --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' \
      --change 'ENV LANG=C.UTF-8' \
      --change 'CMD ["python3"]' \
      --change 'LABEL org.sightserve.stand-in-for=python:3.13-slim-trixie' \
      - "$tag" >/dev/null
