# The image of wsecho: one static binary, without a shell, as a user without rights.
#
#     docker build -t wsecho .
#     docker run -p 8080:8080 wsecho
#
# make image builds the same image from this file without Docker.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG TARGETOS TARGETARCH VERSION=devel OUT=/out
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags="-s -w -X main.release=$VERSION" -o "$OUT/wsecho" .

FROM scratch
ARG VERSION=devel REVISION=unknown
LABEL org.opencontainers.image.title="wsecho" \
      org.opencontainers.image.description="WebSocket echo server" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/wsecho /wsecho
COPY LICENSE /LICENSE
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
# The URL that the health check connects to. Set it if WSECHO_ADDR or TLS changes it.
ENV WSECHO_CHECK_URL=ws://127.0.0.1:8080/
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 CMD ["/wsecho", "check", "--quiet"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/wsecho"]
