// Command lb is the load balancer controller of a test cluster: it gives every
// Service of type LoadBalancer an address, and kube-proxy does the rest. An
// address asked for in spec.loadBalancerIP is given if it lies in the range;
// a Service that asks for another one waits for ever, as it would in a cloud.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the cluster's kubeconfig `file`")
	cidr := flag.String("range", "10.250.1.0/24", "addresses to give; those above .240 only when asked for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *kubeconfig, *cidr)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig, cidr string) error {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	changes := make(chan change, 1024)
	if err := watch(ctx, client, changes); err != nil {
		return err
	}
	b := &balancer{client: client, prefix: prefix, next: prefix.Addr().Next(), owners: map[netip.Addr]types.UID{}}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-changes:
			b.handle(ctx, c)
		}
	}
}

type change struct {
	service *corev1.Service
	deleted bool
}

// watch sends every Service's changes. Unchanged Services come again each
// second, so that what failed is tried again.
func watch(ctx context.Context, client kubernetes.Interface, changes chan<- change) error {
	factory := informers.NewSharedInformerFactory(client, time.Second)
	_, err := factory.Core().V1().Services().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { changes <- change{service: o.(*corev1.Service)} },
		UpdateFunc: func(_, o any) { changes <- change{service: o.(*corev1.Service)} },
		DeleteFunc: func(o any) {
			if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = d.Obj
			}
			changes <- change{service: o.(*corev1.Service), deleted: true}
		},
	})
	factory.Start(ctx.Done())
	return err
}

// balancer knows which Service has which address. One goroutine owns it.
type balancer struct {
	client kubernetes.Interface
	prefix netip.Prefix
	next   netip.Addr // where the search for a free address starts
	owners map[netip.Addr]types.UID
}

func (b *balancer) handle(ctx context.Context, c change) {
	svc := c.service
	if c.deleted || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		b.release(svc.UID, netip.Addr{})
		return
	}
	want := b.address(svc)
	b.release(svc.UID, want)
	if want.IsValid() {
		b.owners[want] = svc.UID
	}
	if given(svc) == want {
		return
	}
	updated := svc.DeepCopy()
	updated.Status.LoadBalancer.Ingress = nil
	if want.IsValid() {
		updated.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: want.String()}}
	}
	_, err := b.client.CoreV1().Services(svc.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		log.Printf("%s/%s: %v", svc.Namespace, svc.Name, err)
	}
}

// address returns what the Service should have: the address it asks for, the
// one it has, or a free one. It is invalid if there is none to give.
func (b *balancer) address(svc *corev1.Service) netip.Addr {
	if asked := svc.Spec.LoadBalancerIP; asked != "" {
		a, err := netip.ParseAddr(asked)
		if err != nil || !b.prefix.Contains(a) || !b.free(a, svc.UID) {
			return netip.Addr{}
		}
		return a
	}
	if a := given(svc); a.IsValid() && b.prefix.Contains(a) && b.free(a, svc.UID) {
		return a
	}
	for a, owner := range b.owners { // given, but the cache does not show it yet
		if owner == svc.UID {
			return a
		}
	}
	return b.pick()
}

// pick goes round the range, so that an address just given back, to which
// connections may still be open, comes last.
func (b *balancer) pick() netip.Addr {
	for range 256 {
		a := b.next
		b.next = a.Next()
		if !b.prefix.Contains(b.next) || b.next.As4()[3] > 240 {
			b.next = b.prefix.Addr().Next()
		}
		if _, taken := b.owners[a]; !taken {
			return a
		}
	}
	return netip.Addr{}
}

func (b *balancer) free(a netip.Addr, uid types.UID) bool {
	owner, taken := b.owners[a]
	return !taken || owner == uid
}

// release frees what uid holds, except keep.
func (b *balancer) release(uid types.UID, keep netip.Addr) {
	for a, owner := range b.owners {
		if owner == uid && a != keep {
			delete(b.owners, a)
		}
	}
}

func given(svc *corev1.Service) netip.Addr {
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
	return a
}
