// Package infra says which Kubernetes objects a Gateway needs: the Deployment
// of its proxies, the Service in front of them, a ServiceAccount, the proxies'
// bootstrap in a ConfigMap, a PodDisruptionBudget, and a HorizontalPodAutoscaler
// where its parameters ask for one. All are in the Gateway's
// namespace, owned by it and labelled per GEP-1762 and spec.infrastructure.
// A namespace of the mesh needs one ConfigMap, which its sidecars start from.
//
// [Objects] and [Mesh] are pure: package controller applies what they return. The package
// must not import client-go, controller-runtime, a logger or the network, and
// must not ask for the time.
package infra
