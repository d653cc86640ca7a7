//go:build localwhatsapp

package helper

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow"

	"heliograph/link/localroot"
	"heliograph/link/protocol"
)

// Build names which network this program can speak to.
const Build = "local"

func init() {
	whatsmeow.WACertPubKey = *localroot.Pair().Pub
	if ms, err := strconv.Atoi(os.Getenv("LINK_TEST_CODE_MS")); err == nil { // tests do not wait for codes to run out
		firstCode, nextCode = time.Duration(ms)*time.Millisecond, time.Duration(ms)*time.Millisecond
	}
}

// useNetwork sends every request of the library to a local WhatsApp. Any address but loopback is refused.
func useNetwork(client *whatsmeow.Client, localURL string) *protocol.Error {
	if localURL == "" {
		return protocol.Fail(protocol.CodeWrongBuild,
			"This helper is built for tests and needs local_url. For WhatsApp start heliograph-link")
	}
	address, err := loopback(localURL)
	if err != nil {
		return protocol.Fail(protocol.CodeBadArgument, "local_url: %v", err)
	}
	local := &http.Client{Transport: redirect{address, &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		MaxIdleConns: 2,
	}}}
	client.SetWebsocketHTTPClient(local)
	client.SetPreLoginHTTPClient(local)
	client.SetMediaHTTPClient(local)
	return nil
}

// loopback gives host:port of a URL whose host is a literal loopback address.
func loopback(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	if parsed.Scheme != "http" || parsed.Port() == "" {
		return "", errors.New("expected http://127.0.0.1:PORT")
	}
	host := parsed.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", errors.New("a test build of the helper speaks to loopback addresses only")
	}
	return net.JoinHostPort(host, parsed.Port()), nil
}

// redirect turns https://any-host/path into http://local/path.
type redirect struct {
	address string
	next    http.RoundTripper
}

func (r redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	local := request.Clone(request.Context())
	local.Header.Set("X-WhatsApp-Host", request.URL.Host)
	local.URL.Scheme = "http"
	local.URL.Host = r.address
	local.Host = r.address
	return r.next.RoundTrip(local)
}
