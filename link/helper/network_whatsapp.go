//go:build !localwhatsapp

package helper

import (
	"go.mau.fi/whatsmeow"

	"heliograph/link/protocol"
)

// Build names which network this program can speak to.
const Build = "whatsapp"

// useNetwork leaves the library as it is: WhatsApp itself, over TLS.
func useNetwork(_ *whatsmeow.Client, localURL string) *protocol.Error {
	if localURL != "" {
		return protocol.Fail(protocol.CodeWrongBuild,
			"This helper speaks to WhatsApp only. For a local WhatsApp start heliograph-link-test")
	}
	return nil
}
