# Builds the manager for TARGETOS/TARGETARCH; the same sources, Go version and
# VERSION give the same bytes:
#   docker build --build-arg VERSION=$(git describe --tags --always) -t platform-lane-operator .
ARG GO_VERSION=1.26.8

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api/ api/
COPY controllers/ controllers/
COPY cmd/ cmd/
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.version=${VERSION}" \
    -o /out/manager ./cmd/manager

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="platform-lane-operator" \
      org.opencontainers.image.description="Lanes for out-of-tree PyTorch platforms: credentials, index pages, yanks" \
      org.opencontainers.image.source="https://github.com/pytorch/platform-lane-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
