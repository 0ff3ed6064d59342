package redirect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/citoroute/citoroute/internal/bootstrap"
)

// answerTimeout is how long the kernel has to answer: it answers a batch that
// it does not understand once, and not for each of its messages.
const answerTimeout = 2 * time.Second

// addresses are the IPv6 addresses of this thread's network namespace, one a line.
const addresses = "/proc/thread-self/net/if_inet6"

// Program puts tables into the kernel, in the network namespace of the calling
// thread, each in one transaction and in the place of what a run before has
// put there. It needs the capability NET_ADMIN.
//
// A pod without IPv6 is redirected for IPv4 alone, and skipped says why.
func Program(tables []Table) (skipped, err error) {
	for _, t := range tables {
		failure := program(t)
		switch {
		case failure == nil:
		case t.IPv6 && !hasIPv6():
			skipped = failure
		default:
			return nil, failure
		}
	}
	return skipped, nil
}

func program(t Table) error {
	c, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return c.SetReadDeadline(time.Now().Add(answerTimeout))
	}))
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}
	if t.IPv6 {
		table.Family = nftables.TableFamilyIPv6
	}
	// What is not there cannot be deleted, so it is added first.
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	chain := c.AddChain(&nftables.Chain{
		Name: chainName, Table: table,
		Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	for _, r := range t.Rules {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r.expressions()})
	}
	if err := c.Flush(); err != nil {
		return explain(t, err)
	}
	return nil
}

// explain says in words what a refusal of the kernel means. Its first answer
// counts: there may be one for each message, and none for some.
func explain(t Table, err error) error {
	refusal, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return fmt.Errorf("program nftables for family %s: %w", t.family(), err)
	}
	switch refusal {
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("program nftables: the capability NET_ADMIN is missing, give it to this container: %w", refusal)
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ENOENT:
		return fmt.Errorf("program nftables: the node's kernel has no NAT for family %s (modules nf_tables, nft_chain_nat and nft_redir): %w", t.family(), refusal)
	}
	return fmt.Errorf("program nftables for family %s: %w", t.family(), refusal)
}

// hasIPv6 says that there is an IPv6 address to connect from: not ::1, and not
// one for a single link, which every interface has.
func hasIPv6() bool {
	b, err := os.ReadFile(addresses)
	if err != nil {
		return false // the kernel has no IPv6
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[3] == "00" { // scope: global
			return true
		}
	}
	return false
}

// register is where nftables' machine keeps what a rule looks at.
const register = unix.NFT_REG_1

func (r Rule) expressions() []expr.Any {
	var out []expr.Any
	if r.UserID != 0 {
		out = append(out,
			&expr.Meta{Key: expr.MetaKeySKUID, Register: register},
			equals(binary.NativeEndian.AppendUint32(nil, r.UserID)))
	}
	if r.Destination.IsValid() {
		out = append(out, destination(r.Destination)...)
	}
	if r.Redirect || r.Port != 0 {
		out = append(out, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equals([]byte{unix.IPPROTO_TCP}))
	}
	if r.Port != 0 {
		out = append(out,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			equals(binary.BigEndian.AppendUint16(nil, r.Port)))
	}
	if !r.Redirect {
		return append(out, &expr.Verdict{Kind: expr.VerdictReturn})
	}
	return append(out,
		&expr.Immediate{Register: register, Data: binary.BigEndian.AppendUint16(nil, bootstrap.CapturePort)},
		&expr.Redir{RegisterProtoMin: register})
}

// destination matches where a packet goes to: the field of its IP header, less
// the bits that the prefix does not look at.
func destination(p netip.Prefix) []expr.Any {
	offset, size := uint32(24), uint32(net.IPv6len)
	if p.Addr().Is4() {
		offset, size = 16, net.IPv4len
	}
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: size,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, size),
		},
		equals(p.Addr().AsSlice()),
	}
}

func equals(value []byte) *expr.Cmp {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: value}
}
