package testnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/util/dbutil"

	"heliograph/link/testnetwork/behaviour"
)

const (
	maxBody      = 64 << 20
	defaultLimit = 1_000
	maxLimit     = 100_000
)

var (
	personShape = regexp.MustCompile(`^\+?([1-9]\d{6,14})(@c\.us)?$`)
	groupShape  = regexp.MustCompile(`^\d[\d-]{5,40}@g\.us$`)
	lidShape    = regexp.MustCompile(`^\d{6,20}@lid$`)
)

// refusal is an answer that is not 200, in the gateway's form of errors.
type refusal struct {
	status        int
	code, message string
	field         string
}

func (r *refusal) Error() string { return r.message }

// notFound is a 404 that names a field.
type notFound struct{ field, message string }

func (n *notFound) Error() string { return n.message }

func invalid(field, message string) *refusal {
	return &refusal{http.StatusUnprocessableEntity, "VALIDATION_ERROR", message, field}
}

func (n *Network) handRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /simulator/messages", answering(n.getMessages))
	mux.HandleFunc("DELETE /simulator/messages", answering(n.deleteMessages))
	mux.HandleFunc("POST /simulator/inbound", answering(n.postInbound))
	mux.HandleFunc("POST /simulator/receipts", answering(n.postReceipt))
	mux.HandleFunc("GET /simulator/faults", answering(func(*http.Request) (any, error) { return n.currentFaults(), nil }))
	mux.HandleFunc("PUT /simulator/faults", answering(n.putFaults))
	mux.HandleFunc("GET /simulator/contacts", answering(func(*http.Request) (any, error) {
		n.lock.Lock()
		defer n.lock.Unlock()
		return maps.Clone(n.contacts), nil
	}))
	mux.HandleFunc("PUT /simulator/contacts/{chat_id}", answering(n.putContact))
}

func answering(work func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := work(r)
		status := http.StatusOK
		if err != nil {
			status, value = refused(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(value)
	}
}

func refused(err error) (int, any) {
	out := &refusal{http.StatusInternalServerError, "INTERNAL_ERROR", err.Error(), ""}
	var missing *notFound
	var wrong *behaviour.FieldError
	switch {
	case errors.As(err, &out):
	case errors.As(err, &missing):
		out = &refusal{http.StatusNotFound, "NOT_FOUND_ERROR", missing.message, missing.field}
	case errors.As(err, &wrong):
		out = invalid(wrong.Field, wrong.Message)
	case errors.Is(err, errNotScannable):
		out = &refusal{http.StatusNotFound, "NOT_FOUND_ERROR", err.Error(), "qr"}
	}
	fields := map[string]any{}
	if out.field != "" {
		fields[out.field] = map[string]any{"message": out.message}
	}
	return out.status, map[string]any{"code": out.code, "name": http.StatusText(out.status), "status": out.status,
		"message": out.message, "fields": fields}
}

func decodeBody(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return &refusal{http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE_ERROR", "The body is too large", ""}
	}
	if err = json.Unmarshal(body, into); err != nil {
		return &refusal{http.StatusBadRequest, "BAD_REQUEST_ERROR", "The body is not JSON as expected: " + err.Error(), ""}
	}
	return nil
}

// parseChat gives the canonical chat id.
func parseChat(text, field string) (string, error) {
	if match := personShape.FindStringSubmatch(text); match != nil {
		return match[1] + "@c.us", nil
	}
	if groupShape.MatchString(text) || lidShape.MatchString(text) {
		return text, nil
	}
	return "", invalid(field, field+" must be a number with country code, a group id ending in @g.us or an id ending in @lid")
}

func parseNumber(text, field string) (string, error) {
	if match := personShape.FindStringSubmatch(text); match != nil {
		return match[1], nil
	}
	return "", invalid(field, field+" must be a country code and number, digits only")
}

func (n *Network) getMessages(r *http.Request) (any, error) {
	query := r.URL.Query()
	where, args := []string{"type NOT IN ('edit', 'revoke', 'poll_vote')"}, []any{}
	if text := query.Get("chat_id"); text != "" {
		chat, err := parseChat(text, "chat_id")
		if err != nil {
			return nil, err
		}
		args = append(args, chat)
		where = append(where, fmt.Sprintf("chat_id = $%d", len(args)))
	}
	if text := query.Get("from"); text != "" {
		number, err := parseNumber(text, "from")
		if err != nil {
			return nil, err
		}
		args = append(args, number)
		where = append(where, fmt.Sprintf("number = $%d", len(args)))
	}
	limit := defaultLimit
	if text := query.Get("limit"); text != "" {
		value, err := strconv.Atoi(text)
		if err != nil || value < 1 || value > maxLimit {
			return nil, invalid("limit", fmt.Sprintf("limit must be a whole number from 1 to %d", maxLimit))
		}
		limit = value
	}
	args = append(args, limit)
	out := []any{}
	err := n.journal.each(r.Context(), func(row dbutil.Scannable) error {
		one, err := journalRow(row)
		out = append(out, one)
		return err
	}, `SELECT message_id, number, chat_id, type, body, media, poll, extra, quoted_id, received_at_us, transmissions, shown, ack, edited, revoked
		FROM linked_messages WHERE `+strings.Join(where, " AND ")+fmt.Sprintf(" ORDER BY no LIMIT $%d", len(args)), args...)
	return out, err
}

func journalRow(row dbutil.Scannable) (map[string]any, error) {
	var id, number, chat, kind, body string
	var media, poll, extra, quoted *string
	var received int64
	var transmissions, shown, ack, edited int
	var revoked bool
	err := row.Scan(&id, &number, &chat, &kind, &body, &media, &poll, &extra, &quoted, &received, &transmissions, &shown, &ack, &edited, &revoked)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"message_id": id, "from": number, "chat_id": chat, "type": kind, "body": body, "media": rawJSON(media), "poll": rawJSON(poll),
		"quoted_message_id": quoted, "received_at": time.UnixMicro(received).UTC().Format("2006-01-02T15:04:05.000Z"),
		"transmissions": transmissions, "shown": shown, "ack": ack,
	}
	if extra != nil {
		out["extra"] = rawJSON(extra)
	}
	if edited > 0 {
		out["edits"] = edited
	}
	if revoked {
		out["revoked"] = true
	}
	return out, nil
}

func rawJSON(text *string) any {
	if text == nil {
		return nil
	}
	return json.RawMessage(*text)
}

func (n *Network) deleteMessages(r *http.Request) (any, error) {
	var count int
	err := n.journal.transaction(r.Context(), func(ctx context.Context) error {
		if _, err := n.journal.one(ctx, []any{&count}, "SELECT COUNT(*) FROM linked_messages"); err != nil {
			return err
		}
		for _, table := range []string{"linked_messages", "linked_due", "linked_turns", "linked_inbound", "linked_outbox"} {
			if err := n.journal.exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	return map[string]any{"deleted": count}, err
}

func (n *Network) putFaults(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	after, err := behaviour.Changed(n.currentFaults(), body)
	if err != nil {
		return nil, err
	}
	return after, n.setFaults(r.Context(), after)
}

func (n *Network) putContact(r *http.Request) (any, error) {
	chat, err := parseChat(r.PathValue("chat_id"), "chat_id")
	if err != nil {
		return nil, err
	}
	var wish struct {
		Behaviour *string `json:"behaviour"`
	}
	if err = decodeBody(r, &wish); err != nil {
		return nil, err
	}
	if wish.Behaviour == nil || *wish.Behaviour == "" {
		err = n.journal.exec(r.Context(), "DELETE FROM linked_contacts WHERE chat_id = $1", chat)
		wish.Behaviour = nil
	} else if _, known := behaviour.BySuffix[*wish.Behaviour]; !known {
		return nil, invalid("behaviour", "behaviour must be the two digits of a test recipient, or null")
	} else {
		err = n.journal.exec(r.Context(), "INSERT INTO linked_contacts (chat_id, behaviour) VALUES ($1, $2) ON CONFLICT (chat_id) DO UPDATE SET behaviour = excluded.behaviour",
			chat, *wish.Behaviour)
	}
	if err != nil {
		return nil, err
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	delete(n.contacts, chat)
	if wish.Behaviour != nil {
		n.contacts[chat] = *wish.Behaviour
	}
	return map[string]any{"chat_id": chat, "behaviour": wish.Behaviour}, nil
}

func (n *Network) restoreContacts(ctx context.Context) error {
	return n.journal.each(ctx, func(row dbutil.Scannable) error {
		var chat, suffix string
		err := row.Scan(&chat, &suffix)
		n.contacts[chat] = suffix
		return err
	}, "SELECT chat_id, behaviour FROM linked_contacts")
}
