#!/usr/bin/env bash
# Brings up a Kubernetes of one node on this machine, without Docker and without
# an image registry: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
# kubelet, kube-proxy, containerd with runc, CoreDNS, and addresses for
# LoadBalancer Services. Needs root on Debian. A cluster that is up stays as it is.
#
#   up.sh && export KUBECONFIG=$(hack/cluster/up.sh --kubeconfig)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# The packages of Debian that it runs on, each by a file that shows it is there.
install_packages() {
  local missing=() pair
  for pair in containerd=/usr/bin/containerd runc=/usr/sbin/runc iptables=/usr/sbin/iptables \
    conntrack=/usr/sbin/conntrack iproute2=/usr/sbin/ip containernetworking-plugins=/usr/lib/cni/bridge \
    kmod=/usr/sbin/modprobe procps=/usr/sbin/sysctl mount=/usr/bin/mount redis-server=/usr/bin/redis-server; do
    [[ -e ${pair#*=} || -e /usr${pair#*=} || -e ${pair#*=/usr} ]] || missing+=("${pair%%=*}")
  done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# network makes the two bridges that the cluster lives on, and sees to it that
# nothing for its addresses, or from its pods, leaves this machine.
network() {
  local uplink cidr chain
  ip link add "$NODE_BRIDGE" type bridge
  ip address add "$NODE_IP/${NODE_CIDR#*/}" dev "$NODE_BRIDGE"
  ip link set "$NODE_BRIDGE" up
  ip route replace "$SERVICE_CIDR" dev "$NODE_BRIDGE"
  modprobe -q br_netfilter 2>/dev/null || true
  sysctl -qe -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 \
    fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288 || true
  for uplink in $(ip -o route show default | grep -o 'dev [^ ]*' | cut -d' ' -f2 | sort -u); do
    iptables -I FORWARD -o "$uplink" -s "$POD_CIDR" -m comment --comment "$RULE_COMMENT" -j REJECT
    for cidr in "$POD_CIDR" "$SERVICE_CIDR" "$NODE_CIDR"; do
      for chain in OUTPUT FORWARD; do
        iptables -I "$chain" -o "$uplink" -d "$cidr" -m comment --comment "$RULE_COMMENT" -j REJECT
      done
    done
  done
}

credentials() {
  pki -dir "$PKI" -node "$NODE" -node-ip "$NODE_IP" -service-ip "$SERVICE_IP"
  local who
  for who in admin kubelet controller-manager scheduler proxy; do
    cat >"$RUN/$who.kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $who, user: {client-certificate-data: $(base64 -w0 "$PKI/$who.crt"), client-key-data: $(base64 -w0 "$PKI/$who.key")}}]
contexts: [{name: test, context: {cluster: test, user: $who}}]
current-context: test
EOF
  done
  cp "$RUN/admin.kubeconfig" "$KUBECONFIG"
}

# start NAME COMMAND... runs a program in the background, its output in $LOG.
start() {
  local name=$1
  shift
  setsid nohup "$@" >"$LOG/$name.log" 2>&1 </dev/null 9>&- &
}

control_plane() {
  start etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:2379" --advertise-client-urls "http://127.0.0.1:2379" \
    --listen-peer-urls "http://127.0.0.1:2380"
  start apiserver kube-apiserver --etcd-servers "http://127.0.0.1:2379" \
    --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 \
    --service-cluster-ip-range "$SERVICE_CIDR" --allow-privileged \
    --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$PKI/tokens.pub" --service-account-signing-key-file "$PKI/tokens.key" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --kubelet-client-certificate "$PKI/admin.crt" --kubelet-client-key "$PKI/admin.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
    --max-requests-inflight 3000 --max-mutating-requests-inflight 1000
  wait_for 60 "the API server (see $LOG/apiserver.log)" kubectl get --raw /readyz
  start controller-manager kube-controller-manager --leader-elect=false --kubeconfig "$RUN/controller-manager.kubeconfig" \
    --authentication-kubeconfig "$RUN/controller-manager.kubeconfig" \
    --authorization-kubeconfig "$RUN/controller-manager.kubeconfig" \
    --service-account-private-key-file "$PKI/tokens.key" --root-ca-file "$PKI/ca.crt" \
    --use-service-account-credentials --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --kube-api-qps 200 --kube-api-burst 400
  start scheduler kube-scheduler --leader-elect=false --kubeconfig "$RUN/scheduler.kubeconfig" \
    --authentication-kubeconfig "$RUN/scheduler.kubeconfig" --authorization-kubeconfig "$RUN/scheduler.kubeconfig"
}

container_runtime() {
  mkdir -p "$RUN/cni"
  cat >"$RUN/cni/10-bridge.conflist" <<EOF
{"cniVersion": "1.0.0", "name": "citoroute", "plugins": [
  {"type": "bridge", "bridge": "$POD_BRIDGE", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$RUN/ipam"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE a pod's score cannot be lowered.
  cat >"$RUN/containerd.toml" <<EOF
version = 2
root = "$RUN/containerd"
state = "$RUN/containerd-state"
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "testbed/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
EOF
  start containerd containerd -c "$RUN/containerd.toml"
  wait_for 30 "containerd (see $LOG/containerd.log)" ctr_ version
  echo_images
  image -name testbed/pause:1 -out "$RUN/pause.tar" "/pause=$BIN/pause"
  image -name testbed/coredns:1 -out "$RUN/coredns.tar" "/coredns=$BIN/coredns"
  local archive
  for archive in "$RUN"/*.tar; do ctr_ images import "$archive" >/dev/null; done
  rm "$RUN"/*.tar
}

# echo_images makes the backends of the conformance suite under their own names.
echo_images() {
  local registry=registry.k8s.io/gateway-api/conformance tag
  for tag in v0.1.0 v0.2.0; do
    image -name "$registry/echo-basic:$tag" -out "$RUN/echo-$tag.tar" "/echo-basic=$BIN/echo-basic"
  done
  image -name "$registry/echo-advanced:v0.1.0" -out "$RUN/echo-advanced.tar" -entrypoint /usr/local/bin/server \
    "/usr/local/bin/server=$BIN/echo-server" "/usr/local/bin/client=$BIN/echo-client" \
    "/cert.crt=$PKI/echo.crt" "/cert.key=$PKI/echo.key"
}

node() {
  cat >"$RUN/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: ""
cgroupDriver: cgroupfs
cgroupRoot: /
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$RUN/containerd.sock
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "0%", imagefs.available: "0%", memory.available: "100Mi"}
maxPods: 250
serializeImagePulls: false
kubeAPIQPS: 200
kubeAPIBurst: 400
EOF
  start kubelet kubelet --config "$RUN/kubelet.yaml" --kubeconfig "$RUN/kubelet.kubeconfig" \
    --hostname-override "$NODE" --node-ip "$NODE_IP" --root-dir "$RUN/kubelet"
  cat >"$RUN/proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $RUN/proxy.kubeconfig}
clusterCIDR: $POD_CIDR
mode: iptables
hostnameOverride: $NODE
conntrack: {maxPerCore: 0}
iptables: {minSyncPeriod: 100ms}
EOF
  start kube-proxy kube-proxy --config "$RUN/proxy.yaml"
  start lb lb -kubeconfig "$KUBECONFIG"
}

is_up() { [[ -f $RUN/up ]] && kubectl get --raw /readyz >/dev/null 2>&1; }

[[ ${1:-} != --kubeconfig ]] || { echo "$KUBECONFIG"; exit; }
((EUID == 0)) || die "needs root"
install_packages
"$HERE/build.sh"
if is_up; then
  say "the cluster is up: export KUBECONFIG=$KUBECONFIG"
  exit
fi
"$HERE/down.sh"
mkdir -p "$PKI" "$LOG"
say "starting the cluster"
network
credentials
container_runtime &
runtime=$!
control_plane
kubectl apply -f "$HERE/manifests/coredns.yaml" >/dev/null
wait "$runtime"
node
wait_for 60 "the node" kubectl wait --for=condition=Ready --timeout=1s node/"$NODE"
wait_for 90 "CoreDNS" kubectl -n kube-system rollout status deployment/coredns --timeout=1s
touch "$RUN/up"
say "the cluster is up: export KUBECONFIG=$KUBECONFIG"
