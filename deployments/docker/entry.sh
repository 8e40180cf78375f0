#!/bin/sh
# Make every secret file a variable of the same name, then run the command. Values are never shown.
# A secret mounted as /run/secrets/PREFECT_API_AUTH_STRING becomes $PREFECT_API_AUTH_STRING.
set -eu
for file in "${SECRETS_FOLDER:-/run/secrets}"/[A-Z]*; do
  name=${file##*/}
  case $name in *[!A-Z0-9_]*) continue ;; esac
  [ -e "$file" ] || continue
  value=$(cat "$file") || { echo "the secret $name cannot be read by user $(id -u): let it read the file" >&2; exit 1; }
  export "$name=$value"
done
exec "$@"
