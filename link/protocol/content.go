package protocol

// Content is what a message says. Type is a kind of the gateway's own vocabulary.
type Content struct {
	Type     string    `json:"type"`
	Text     string    `json:"text,omitempty"`
	Media    *Media    `json:"media,omitempty"`
	Poll     *Poll     `json:"poll,omitempty"`
	Location *Location `json:"location,omitempty"`
	Contacts []Contact `json:"contacts,omitempty"`
}

// The kinds of content.
const (
	KindText     = "chat"
	KindImage    = "image"
	KindVideo    = "video"
	KindAudio    = "audio"
	KindVoice    = "ptt"
	KindDocument = "document"
	KindSticker  = "sticker"
	KindPoll     = "poll_creation"
	KindLocation = "location"
	KindContact  = "vcard"
	KindReaction = "reaction"
	KindEdit     = "edit"
	KindRevoke   = "revoke"
	KindPollVote = "poll_vote"
	KindUnknown  = "unknown"
)

// Media describes a file. Outgoing: File is the place of its descriptor beside the frame.
// Incoming: Ref is what `download` takes.
type Media struct {
	File     int       `json:"file,omitempty"`
	Mimetype string    `json:"mimetype"`
	Filename string    `json:"filename,omitempty"`
	Size     int64     `json:"size,omitempty"`
	Seconds  uint32    `json:"seconds,omitempty"`
	Width    uint32    `json:"width,omitempty"`
	Height   uint32    `json:"height,omitempty"`
	GIF      bool      `json:"gif,omitempty"`
	Waveform []byte    `json:"waveform,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	Ref      *MediaRef `json:"ref,omitempty"`
}

// MediaRef is where the encrypted bytes of a received file are, and what opens them.
type MediaRef struct {
	Kind       string `json:"kind"`
	DirectPath string `json:"direct_path"`
	MediaKey   []byte `json:"media_key"`
	SHA256     []byte `json:"file_sha256"`
	EncSHA256  []byte `json:"file_enc_sha256"`
	Size       int64  `json:"size"`
}

// Poll is a question with options. Selectable is how many a person may choose; 0: any number.
type Poll struct {
	Name       string   `json:"name"`
	Options    []string `json:"options"`
	Selectable int      `json:"selectable"`
}

// Location is a place.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// Contact is one card.
type Contact struct {
	Name  string `json:"name"`
	VCard string `json:"vcard"`
}

// Quoted names the message that a message answers.
type Quoted struct {
	MessageID string `json:"message_id"`
	Sender    string `json:"sender,omitempty"`
	Text      string `json:"text,omitempty"`
}

// SendArgs are the arguments of the verb `send`.
type SendArgs struct {
	MessageID string   `json:"message_id"`
	To        string   `json:"to"`
	Content   Content  `json:"content"`
	Quoted    *Quoted  `json:"quoted,omitempty"`
	Mentions  []string `json:"mentions,omitempty"`
	Forwarded bool     `json:"forwarded,omitempty"`
	TimeoutS  float64  `json:"timeout_s,omitempty"`
}

// ChangeArgs are the arguments of `edit`, `revoke`, `react` and `vote`: a message about another one.
type ChangeArgs struct {
	MessageID    string   `json:"message_id"`
	To           string   `json:"to"`
	TargetID     string   `json:"target_id"`
	TargetSender string   `json:"target_sender,omitempty"`
	Text         string   `json:"text,omitempty"`
	Emoji        string   `json:"emoji,omitempty"`
	Options      []string `json:"options,omitempty"`
	TimeoutS     float64  `json:"timeout_s,omitempty"`
}

// Taken is the answer to a message that the server acknowledged.
type Taken struct {
	MessageID  string `json:"message_id"`
	Chat       string `json:"chat"`
	ChatLID    string `json:"chat_lid,omitempty"`
	TimestampS int64  `json:"timestamp_s"`
}
