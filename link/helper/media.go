package helper

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"heliograph/link/protocol"
)

// maxMedia is the largest file that is taken, in bytes.
const maxMedia = 100 << 20

var uploadKinds = map[string]whatsmeow.MediaType{
	protocol.KindImage:    whatsmeow.MediaImage,
	protocol.KindSticker:  whatsmeow.MediaImage,
	protocol.KindVideo:    whatsmeow.MediaVideo,
	protocol.KindAudio:    whatsmeow.MediaAudio,
	protocol.KindVoice:    whatsmeow.MediaAudio,
	protocol.KindDocument: whatsmeow.MediaDocument,
}

// composeMedia uploads the file of a descriptor and makes its message.
func (p *phone) composeMedia(ctx context.Context, content protocol.Content, info *waE2E.ContextInfo, files []*os.File) (*waE2E.Message, *protocol.Error) {
	media := content.Media
	if media == nil || media.File < 0 || media.File >= len(files) {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The file of the media did not come with the frame")
	}
	file := files[media.File]
	stat, err := file.Stat()
	if err != nil || !stat.Mode().IsRegular() {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The descriptor is not a regular file")
	}
	if stat.Size() > maxMedia {
		return nil, protocol.Fail(protocol.CodeMediaTooLarge, "The file has %d bytes, at most %d", stat.Size(), maxMedia)
	}
	if stat.Size() == 0 {
		return nil, protocol.Fail(protocol.CodeMediaRejected, "The file is empty")
	}
	scratch, err := scratchFile()
	if err != nil {
		return nil, protocol.Fail(protocol.CodeInternal, "No place for the encrypted file: %v", err)
	}
	defer func() { _ = scratch.Close() }()
	plain := io.NewSectionReader(file, 0, stat.Size())
	up, err := p.client.UploadReader(ctx, plain, scratch, uploadKinds[content.Type])
	if err != nil {
		return nil, uploadFailure(err)
	}
	return mediaMessage(content, info, up), nil
}

// scratchFile is a file without a name: nothing of it stays after a kill.
func scratchFile() (*os.File, error) {
	file, err := os.CreateTemp("", "heliograph-link-*")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func uploadFailure(err error) *protocol.Error {
	text := err.Error()
	if _, status, found := strings.Cut(text, "upload failed with status code "); found {
		code, _ := strconv.Atoi(strings.TrimSpace(status))
		if code >= 500 || code == 429 {
			return &protocol.Error{Code: protocol.CodeServerUnavailable, Message: "The upload failed for now", ServerCode: code}
		}
		return &protocol.Error{Code: protocol.CodeMediaRejected, Message: "WhatsApp did not take the file", ServerCode: code}
	}
	if strings.Contains(text, "failed to execute request") && !errors.Is(err, context.DeadlineExceeded) {
		return protocol.Fail(protocol.CodeNoNetwork, "The file could not be uploaded: %v", err)
	}
	return classify(err)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return proto.String(text)
}

func optionalNumber(value uint32) *uint32 {
	if value == 0 {
		return nil
	}
	return proto.Uint32(value)
}

func mediaMessage(content protocol.Content, info *waE2E.ContextInfo, up whatsmeow.UploadResponse) *waE2E.Message {
	media := content.Media
	caption, mime := optional(content.Text), proto.String(media.Mimetype)
	width, height, seconds := optionalNumber(media.Width), optionalNumber(media.Height), optionalNumber(media.Seconds)
	url, path, key, plain, enc, size := &up.URL, &up.DirectPath, up.MediaKey, up.FileSHA256, up.FileEncSHA256, &up.FileLength
	switch content.Type {
	case protocol.KindImage:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			Caption: caption, Mimetype: mime, URL: url, DirectPath: path, MediaKey: key, FileSHA256: plain,
			FileEncSHA256: enc, FileLength: size, Width: width, Height: height, ContextInfo: info,
		}}
	case protocol.KindVideo:
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			Caption: caption, Mimetype: mime, URL: url, DirectPath: path, MediaKey: key, FileSHA256: plain,
			FileEncSHA256: enc, FileLength: size, Width: width, Height: height, Seconds: seconds,
			GifPlayback: proto.Bool(media.GIF), ContextInfo: info,
		}}
	case protocol.KindAudio, protocol.KindVoice:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			Mimetype: mime, URL: url, DirectPath: path, MediaKey: key, FileSHA256: plain, FileEncSHA256: enc,
			FileLength: size, Seconds: seconds, PTT: proto.Bool(content.Type == protocol.KindVoice),
			Waveform: media.Waveform, ContextInfo: info,
		}}
	case protocol.KindSticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			Mimetype: mime, URL: url, DirectPath: path, MediaKey: key, FileSHA256: plain, FileEncSHA256: enc,
			FileLength: size, Width: width, Height: height, ContextInfo: info,
		}}
	default:
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
			Caption: caption, Mimetype: mime, URL: url, DirectPath: path, MediaKey: key, FileSHA256: plain,
			FileEncSHA256: enc, FileLength: size, FileName: optional(media.Filename), Title: optional(media.Filename),
			ContextInfo: info,
		}}
	}
}

// DownloadArgs are the arguments of `download`. The bytes go into the descriptor beside the frame.
type DownloadArgs struct {
	Ref protocol.MediaRef `json:"ref"`
}

func (p *phone) download(ctx context.Context, args DownloadArgs, files []*os.File) (any, *protocol.Error) {
	kind, known := uploadKinds[args.Ref.Kind]
	if !known || len(files) != 1 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "download needs a ref and one descriptor")
	}
	if args.Ref.Size > maxMedia {
		return nil, protocol.Fail(protocol.CodeMediaTooLarge, "The file has %d bytes, at most %d", args.Ref.Size, maxMedia)
	}
	ref := args.Ref
	err := p.client.DownloadMediaWithPathToFile(ctx, ref.DirectPath, ref.EncSHA256, ref.SHA256, ref.MediaKey, kind, "", false, files[0])
	if err != nil {
		return nil, classify(err)
	}
	stat, err := files[0].Stat()
	if err != nil {
		return nil, protocol.Fail(protocol.CodeInternal, "%v", err)
	}
	return map[string]any{"size": stat.Size(), "sha256": hex.EncodeToString(ref.SHA256)}, nil
}
