package helper

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/store"

	"heliograph/link/protocol"
)

func isTooLarge(err error) bool { return errors.Is(err, protocol.ErrTooLarge) }

// connectFailure says why a connection could not be made.
func connectFailure(err error) *protocol.Error {
	text := err.Error()
	var invalid x509.CertificateInvalidError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, store.ErrDeviceDeleted):
		return protocol.Fail(protocol.CodeLoggedOut, "The device was unlinked; restart the helper to link again")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired,
		strings.Contains(text, "certificate not valid yet"), strings.Contains(text, "certificate expired"):
		return protocol.Fail(protocol.CodeClockWrong, "This machine's clock does not fit WhatsApp's certificate: %v", err)
	case strings.Contains(text, "verify server cert"), strings.Contains(text, "x509:"), strings.Contains(text, "tls:"):
		return protocol.Fail(protocol.CodeWrongCertificate, "The server did not prove that it is WhatsApp: %v", err)
	case errors.As(err, &dns), errors.As(err, &op), errors.Is(err, socket.ErrDialFailed),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrDeadlineExceeded):
		return protocol.Fail(protocol.CodeNoNetwork, "WhatsApp cannot be reached: %v", err)
	case strings.Contains(text, "noise handshake failed"):
		return protocol.Fail(protocol.CodeNoNetwork, "The connection ended in the handshake: %v", err)
	default:
		return protocol.Fail(protocol.CodeInternal, "Connecting failed: %v", err)
	}
}

var serverCode = regexp.MustCompile(`server returned error (\d+)`)

// serverCodes are the errors that stand in an acknowledgement: the server did not take the message.
var serverCodes = map[int]string{
	403: protocol.CodeBlocked,
	404: protocol.CodeBadAddress,
	415: protocol.CodeMediaRejected,
	429: protocol.CodeRateLimited,
	463: protocol.CodeNewChatsLimited,
	475: protocol.CodeNewChatsLimited,
	479: protocol.CodeStaleDevices,
	500: protocol.CodeServerUnavailable,
	503: protocol.CodeServerUnavailable,
}

// sendFailure says why a message was not acknowledged. `written`: its frame may have left this machine.
func sendFailure(err error, written bool) *protocol.Error {
	fail := classify(err)
	fail.Sent = protocol.SentNo
	if fail.ServerCode == 0 && written {
		fail.Sent = protocol.SentUnknown
		switch fail.Code {
		case protocol.CodeTimeout:
			fail.Code = protocol.CodeAckTimeout
			fail.Message = "WhatsApp did not acknowledge the message in time"
		case protocol.CodeNotConnected:
			fail.Code = protocol.CodeConnectionLost
		}
	}
	return fail
}

// classify puts an error of the library into the protocol's words.
func classify(err error) *protocol.Error {
	text := err.Error()
	if match := serverCode.FindStringSubmatch(text); match != nil {
		number, _ := strconv.Atoi(match[1])
		code, known := serverCodes[number]
		if !known {
			code = protocol.CodeServerRefused
		}
		return &protocol.Error{Code: code, Message: "WhatsApp answered " + match[1] + " to the message", ServerCode: number}
	}
	var query *whatsmeow.IQError
	var lost *whatsmeow.DisconnectedError
	var download whatsmeow.DownloadHTTPError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.Is(err, whatsmeow.ErrIQTimedOut):
		return protocol.Fail(protocol.CodeTimeout, "WhatsApp did not answer in time")
	case errors.Is(err, context.Canceled):
		return protocol.Fail(protocol.CodeConnectionLost, "The helper is closing")
	case errors.Is(err, whatsmeow.ErrNotConnected), errors.Is(err, socket.ErrSocketClosed):
		return protocol.Fail(protocol.CodeNotConnected, "There is no connection to WhatsApp now")
	case errors.As(err, &lost):
		return protocol.Fail(protocol.CodeConnectionLost, "The connection closed before WhatsApp answered")
	case errors.Is(err, whatsmeow.ErrNotLoggedIn):
		return protocol.Fail(protocol.CodeNotPaired, "No phone is linked yet")
	case errors.Is(err, whatsmeow.ErrNotInGroup):
		return protocol.Fail(protocol.CodeNotInGroup, "This phone is not in the group")
	case errors.Is(err, whatsmeow.ErrGroupNotFound):
		return protocol.Fail(protocol.CodeNoSuchGroup, "This group does not exist")
	case strings.Contains(text, "no LID found for"):
		return protocol.Fail(protocol.CodeNotOnWhatsApp, "This number is not on WhatsApp")
	case errors.Is(err, whatsmeow.ErrUnknownServer), errors.Is(err, whatsmeow.ErrRecipientADJID),
		errors.Is(err, whatsmeow.ErrBroadcastListUnsupported):
		return protocol.Fail(protocol.CodeBadAddress, "Messages cannot be sent to this address")
	case errors.As(err, &download), errors.Is(err, whatsmeow.ErrNoURLPresent):
		return protocol.Fail(protocol.CodeMediaGone, "WhatsApp no longer has the file: %v", err)
	case errors.Is(err, whatsmeow.ErrInvalidMediaSHA256), errors.Is(err, whatsmeow.ErrInvalidMediaEncSHA256),
		errors.Is(err, whatsmeow.ErrInvalidMediaHMAC), errors.Is(err, whatsmeow.ErrTooShortFile):
		return protocol.Fail(protocol.CodeMediaDamaged, "The file is not what was sent: %v", err)
	case errors.As(err, &query):
		return queryFailure(query)
	default:
		return protocol.Fail(protocol.CodeInternal, "%v", err)
	}
}

// queryFailure is an error answer to a question (a group, a number, a device list).
func queryFailure(query *whatsmeow.IQError) *protocol.Error {
	code := protocol.CodeServerRefused
	switch {
	case query.Code == 429:
		code = protocol.CodeRateLimited
	case query.Code == 401 || query.Code == 403 || query.Code == 405:
		code = protocol.CodeNotAllowed
	case query.Code == 404:
		code = protocol.CodeBadAddress
	case query.Code >= 500:
		code = protocol.CodeServerUnavailable
	}
	return &protocol.Error{Code: code, Message: query.Error(), ServerCode: query.Code}
}
