package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Request is a frame from the gateway: a call of a verb, or the confirmation of an event.
type Request struct {
	V       int             `json:"v"`
	Call    uint64          `json:"call,omitempty"`
	Verb    string          `json:"verb,omitempty"`
	Args    json.RawMessage `json:"args,omitempty"`
	Confirm uint64          `json:"confirm,omitempty"`
}

// Reply is the answer to a call: exactly one for each.
type Reply struct {
	V      int    `json:"v"`
	Call   uint64 `json:"call"`
	OK     bool   `json:"ok"`
	Result any    `json:"result,omitempty"`
	Error  *Error `json:"error,omitempty"`
}

// Progress is what happens between a call and its answer.
type Progress struct {
	V        int    `json:"v"`
	Call     uint64 `json:"call"`
	Progress string `json:"progress"`
	Data     any    `json:"data,omitempty"`
}

// Event is something that the gateway did not ask for. No counts the events that must be confirmed; 0: none.
type Event struct {
	V     int    `json:"v"`
	Event string `json:"event"`
	No    uint64 `json:"no,omitempty"`
	Data  any    `json:"data"`
}

// Sent says what is known of a message after a failed call.
type Sent string

// What is known of a message after a failure.
const (
	SentNo      Sent = "no"
	SentUnknown Sent = "unknown"
)

// Error is why a call failed. Code is one of the constants; Message is for people.
type Error struct {
	Code        string  `json:"code"`
	Message     string  `json:"message"`
	Sent        Sent    `json:"sent,omitempty"`
	ServerCode  int     `json:"server_code,omitempty"`
	RetryAfterS float64 `json:"retry_after_s,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Fail makes an Error.
func Fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// The codes of errors. docs/explain/link-protocol.md says what each means and what to do.
const (
	CodeBadFrame          = "bad_frame"
	CodeBadVersion        = "bad_version"
	CodeUnknownVerb       = "unknown_verb"
	CodeBadArgument       = "bad_argument"
	CodeBusy              = "busy"
	CodeNotOpen           = "not_open"
	CodeAlreadyOpen       = "already_open"
	CodeSessionLocked     = "session_locked"
	CodeSessionDamaged    = "session_damaged"
	CodeSessionOther      = "session_of_another_number"
	CodeStoreUnavailable  = "store_unavailable"
	CodeWrongBuild        = "wrong_build"
	CodeNotPaired         = "not_paired"
	CodeAlreadyPaired     = "already_paired"
	CodeNotConnected      = "not_connected"
	CodeNoNetwork         = "no_network"
	CodeClockWrong        = "clock_wrong"
	CodeWrongCertificate  = "wrong_certificate"
	CodeClientOutdated    = "client_outdated"
	CodeLoggedOut         = "logged_out"
	CodeReplaced          = "replaced"
	CodeBanned            = "banned"
	CodeAckTimeout        = "ack_timeout"
	CodeTimeout           = "timeout"
	CodeConnectionLost    = "connection_lost"
	CodeNewChatsLimited   = "new_chats_restricted"
	CodeStaleDevices      = "stale_devices"
	CodeRateLimited       = "rate_limited"
	CodeNotOnWhatsApp     = "not_on_whatsapp"
	CodeBadAddress        = "bad_address"
	CodeBlocked           = "blocked"
	CodeNotInGroup        = "not_in_group"
	CodeNoSuchGroup       = "no_such_group"
	CodeNotAllowed        = "not_allowed"
	CodeMediaRejected     = "media_rejected"
	CodeMediaTooLarge     = "media_too_large"
	CodeMediaGone         = "media_gone"
	CodeMediaDamaged      = "media_damaged"
	CodeServerUnavailable = "server_unavailable"
	CodeServerRefused     = "server_refused"
	CodeTooLarge          = "too_large"
	CodePairingFailed     = "pairing_failed"
	CodeInternal          = "internal"
)

// ParseRequest reads a frame of the gateway. The error is a bad_frame or bad_version.
func ParseRequest(body []byte) (*Request, *Error) {
	var request Request
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, Fail(CodeBadFrame, "The frame is not JSON as the link protocol has it: %v", err)
	}
	if request.V != Version {
		return nil, Fail(CodeBadVersion, "The frame has version %d; this helper speaks version %d", request.V, Version)
	}
	if request.Confirm == 0 && (request.Call == 0 || request.Verb == "") {
		return nil, Fail(CodeBadFrame, "The frame has neither a call with a verb nor a confirmation")
	}
	return &request, nil
}

// Decode reads the arguments of a verb strictly: an unknown field is an error.
func Decode(args json.RawMessage, into any) *Error {
	if len(args) == 0 {
		args = []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return Fail(CodeBadArgument, "The arguments are wrong: %v", err)
	}
	return nil
}
