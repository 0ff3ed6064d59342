package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echoDesc is a service with a unary and a bidirectional method, without
// generated code.
var echoDesc = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		if in.GetValue() == "fail" {
			return nil, status.Error(codes.FailedPrecondition, "as asked")
		}
		md, _ := metadata.FromIncomingContext(ctx)
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t"))
		return wrapperspb.String(in.GetValue() + md.Get("x-suffix")[0]), nil
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
		for {
			in := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(in); errors.Is(err, io.EOF) {
				return status.Error(codes.Aborted, "the end")
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		}
	}}},
}

func grpcThroughProxy(t *testing.T) *grpc.ClientConn {
	t.Helper()
	ln := listen(t)
	srv := grpc.NewServer()
	srv.RegisterService(&echoDesc, nil)
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(srv.Stop)
	addr := proxy(t, ln.Addr().String())
	conn, err := grpc.NewClient("passthrough:"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestGRPC_Unary(t *testing.T) {
	conn := grpcThroughProxy(t)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-suffix", "!"), timeout)
	defer cancel()
	out := new(wrapperspb.StringValue)
	var trailer metadata.MD
	if err := conn.Invoke(ctx, "/test.Echo/Unary", wrapperspb.String("hi"), out, grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	if out.GetValue() != "hi!" || len(trailer.Get("x-trailer")) != 1 {
		t.Errorf("got %q, trailer %v", out.GetValue(), trailer)
	}
	err := conn.Invoke(ctx, "/test.Echo/Unary", wrapperspb.String("fail"), out)
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "as asked" {
		t.Errorf("got %v, want the backend's status", err)
	}
	err = conn.Invoke(ctx, "/test.Echo/Absent", wrapperspb.String(""), out)
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("trailers-only response: got %v, want Unimplemented", err)
	}
}

func TestGRPC_BidirectionalStream(t *testing.T) {
	conn := grpcThroughProxy(t)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	stream, err := conn.NewStream(ctx, &echoDesc.Streams[0], "/test.Echo/Stream")
	if err != nil {
		t.Fatal(err)
	}
	out := new(wrapperspb.StringValue)
	for i := range 100 {
		want := strconv.Itoa(i)
		if err := stream.SendMsg(wrapperspb.String(want)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(out); err != nil || out.GetValue() != want {
			t.Fatalf("message %d: got %q, %v", i, out.GetValue(), err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(out); status.Code(err) != codes.Aborted {
		t.Errorf("got %v, want the backend's status Aborted", err)
	}
}
