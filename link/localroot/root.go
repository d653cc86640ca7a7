// Package localroot holds the root of trust of the local WhatsApp: a key that everybody can compute.
//
// Only the test build of the helper trusts it, and that build speaks to loopback addresses only.
package localroot

import (
	"crypto/sha256"

	"go.mau.fi/whatsmeow/util/keys"
)

// Pair is the root key pair that signs the certificates of every local WhatsApp.
func Pair() *keys.KeyPair {
	return keys.NewKeyPairFromPrivateKey(sha256.Sum256([]byte("heliograph local whatsapp: certificate root 1")))
}
