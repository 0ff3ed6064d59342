# One recipe for every program: BINARY is controller, proxy or citoroute.
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.27 AS build
ARG TARGETOS TARGETARCH BINARY VERSION
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X github.com/citoroute/citoroute/internal/version.release=$VERSION" -pgo cmd/proxy/load.pgo -o /out/program ./cmd/${BINARY:?set it with --build-arg}

# Certificates and time zones, no shell, no package manager, not root.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/program /program
USER 65532:65532
ENTRYPOINT ["/program"]
