package testnetwork

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/util/cbcutil"
	"go.mau.fi/whatsmeow/util/hkdfutil"
	"google.golang.org/protobuf/proto"
)

const maxUpload = 110 << 20

// mediaHosts says where files go. The helper's test build sends every host to this server.
func (n *Network) mediaHosts() []waBinary.Node {
	return []waBinary.Node{{Tag: "media_conn",
		Attrs:   waBinary.Attrs{"auth": "local", "ttl": 3600, "auth_ttl": 3600, "max_buckets": 12},
		Content: []waBinary.Node{{Tag: "host", Attrs: waBinary.Attrs{"hostname": "mmg.whatsapp.net"}}}}}
}

func (n *Network) upload(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	sum := sha256.Sum256(body)
	if base64.URLEncoding.EncodeToString(sum[:]) != r.PathValue("token") {
		http.Error(w, "the token is not the hash of the file", http.StatusBadRequest)
		return
	}
	path, err := n.keepMedia(r.Context(), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"url": "https://mmg.whatsapp.net" + path, "direct_path": path})
}

// keepMedia stores encrypted bytes. Clients add "&hash=" to the path, so that it must have a question mark.
func (n *Network) keepMedia(ctx context.Context, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	path := "/v/" + hex.EncodeToString(sum[:])
	err := n.journal.exec(ctx, "INSERT INTO linked_media (path, body) VALUES ($1, $2) ON CONFLICT DO NOTHING", path, body)
	return path + "?ccb=1", err
}

func (n *Network) mediaBody(ctx context.Context, path string) ([]byte, error) {
	path, _, _ = strings.Cut(path, "?")
	var body []byte
	found, err := n.journal.one(ctx, []any{&body}, "SELECT body FROM linked_media WHERE path = $1", path)
	if err == nil && !found {
		err = fmt.Errorf("there is no file %s", path)
	}
	return body, err
}

func (n *Network) fetch(w http.ResponseWriter, r *http.Request) {
	body, err := n.mediaBody(r.Context(), r.URL.Path)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(body)
}

// sealMedia encrypts a file as a person's phone does, and keeps it for download.
func (n *Network) sealMedia(ctx context.Context, plain []byte, mimetype, filename, caption string) (*waE2E.Message, string, error) {
	kind, word := whatsmeow.MediaDocument, "document"
	switch before, _, _ := strings.Cut(mimetype, "/"); before {
	case "image":
		kind, word = whatsmeow.MediaImage, "image"
	case "video":
		kind, word = whatsmeow.MediaVideo, "video"
	case "audio":
		kind, word = whatsmeow.MediaAudio, "audio"
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	expanded := hkdfutil.SHA256(key, nil, []byte(kind), 112)
	iv, cipherKey, macKey := expanded[:16], expanded[16:48], expanded[48:80]
	sealed, err := cbcutil.Encrypt(cipherKey, iv, plain)
	if err != nil {
		return nil, "", err
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(iv)
	mac.Write(sealed)
	body := append(sealed, mac.Sum(nil)[:macLength]...)
	path, err := n.keepMedia(ctx, body)
	if err != nil {
		return nil, "", err
	}
	plainSum, sealedSum := sha256.Sum256(plain), sha256.Sum256(body)
	url, size := proto.String("https://mmg.whatsapp.net"+path), proto.Uint64(uint64(len(plain)))
	text := proto.String(caption)
	mime := proto.String(mimetype)
	switch word {
	case "image":
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: text, Mimetype: mime, URL: url, DirectPath: &path,
			MediaKey: key, FileSHA256: plainSum[:], FileEncSHA256: sealedSum[:], FileLength: size}}, word, nil
	case "video":
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{Caption: text, Mimetype: mime, URL: url, DirectPath: &path,
			MediaKey: key, FileSHA256: plainSum[:], FileEncSHA256: sealedSum[:], FileLength: size}}, word, nil
	case "audio":
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{Mimetype: mime, URL: url, DirectPath: &path,
			MediaKey: key, FileSHA256: plainSum[:], FileEncSHA256: sealedSum[:], FileLength: size}}, word, nil
	default:
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{Caption: text, Mimetype: mime, URL: url, DirectPath: &path,
			FileName: proto.String(filename), MediaKey: key, FileSHA256: plainSum[:], FileEncSHA256: sealedSum[:], FileLength: size}}, word, nil
	}
}

// OldChat is a conversation that a phone tells its new device about.
type OldChat struct {
	ChatID   string   `json:"chat_id"`
	Name     string   `json:"name"`
	Messages []string `json:"messages"`
}

// postHistory is a phone that sends old conversations to its linked devices.
func (n *Network) postHistory(r *http.Request) (any, error) {
	var wish struct {
		Number string    `json:"number"`
		Chats  []OldChat `json:"chats"`
	}
	if err := decodeBody(r, &wish); err != nil {
		return nil, err
	}
	ctx := r.Context()
	owner, err := n.people.byNumber(ctx, wish.Number)
	if err != nil {
		return nil, err
	}
	sync := &waHistorySync.HistorySync{SyncType: waHistorySync.HistorySync_INITIAL_BOOTSTRAP.Enum()}
	for _, chat := range wish.Chats {
		jid, err := n.recipientJID(ctx, chat.ChatID)
		if err != nil {
			return nil, err
		}
		one := &waHistorySync.Conversation{ID: proto.String(jid.String()), Name: proto.String(chat.Name),
			ConversationTimestamp: proto.Uint64(uint64(time.Now().Unix()))}
		for _, text := range chat.Messages {
			one.Messages = append(one.Messages, &waHistorySync.HistorySyncMsg{Message: &waWeb.WebMessageInfo{
				Key:              &waCommon.MessageKey{RemoteJID: proto.String(jid.String()), FromMe: proto.Bool(false), ID: proto.String(newMessageID())},
				MessageTimestamp: proto.Uint64(uint64(time.Now().Unix())), Message: &waE2E.Message{Conversation: proto.String(text)},
			}})
		}
		sync.Conversations = append(sync.Conversations, one)
	}
	plain, err := proto.Marshal(sync)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	_, _ = writer.Write(plain)
	_ = writer.Close()
	message := &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_HISTORY_SYNC_NOTIFICATION.Enum(),
		HistorySyncNotification: &waE2E.HistorySyncNotification{SyncType: waE2E.HistorySyncType_INITIAL_BOOTSTRAP.Enum(),
			InitialHistBootstrapInlinePayload: packed.Bytes()}}}
	said := Said{ChatID: owner.chatID(), To: owner.number, MessageID: newMessageID(), FromMe: true}
	return map[string]any{"chats": len(wish.Chats)}, n.journal.transaction(ctx, func(ctx context.Context) error {
		return n.deliver(ctx, said, owner, message, "text")
	})
}
