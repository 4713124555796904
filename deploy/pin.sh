#!/bin/sh
# Pins the images of Dockerfile and compose.yaml by digest: what a tag names may change, a digest cannot.
# Needs Docker with buildx, and the network. Run it where images are built, look at the difference, commit it.
set -eu
cd "$(dirname "$0")"
for file in Dockerfile compose.yaml; do
    sed -nE 's/^(FROM|[[:space:]]+image:)[[:space:]]+([^@[:space:]]+:[^@[:space:]]+)(@[^[:space:]]+)?.*/\2/p' "$file" |
        sort -u | while read -r image; do
        case "$image" in mien:*) continue ;; esac # built here
        digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
        sed -i -E "s#(^FROM|image:)([[:space:]]+)$image(@sha256:[0-9a-f]+)?#\1\2$image@$digest#" "$file"
        echo "$file: $image@$digest"
    done
done
