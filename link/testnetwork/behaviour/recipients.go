// Package behaviour says what the local WhatsApp does with a message to each test recipient.
package behaviour

import (
	"regexp"
	"time"
)

// The acknowledgements of a message.
const (
	AckServer    = 1
	AckDelivered = 2
	AckRead      = 3
	AckPlayed    = 4
)

// Replies of a person after reading.
const (
	ReplyEcho  = "echo"
	ReplyStop  = "stop"
	ReplyThumb = "thumb"
)

// Troubles of the device that sent.
const (
	TroubleLoggedOut  = "logged_out"
	TroubleOffline    = "offline"
	TroubleReplaced   = "replaced"
	TroubleRestricted = "restricted"
	TroubleNewChats   = "no_new_chats"
)

// How long troubles last, and how long the answers of some recipients take.
const (
	HeldFor    = 60 * time.Second
	OfflineFor = 30 * time.Second
	SlowAck    = 10 * time.Second
	LateAck    = 21 * time.Second // longer than the gateway's usual wait
	LostAfter  = 100 * time.Millisecond
	KeptDown   = 6 * time.Second // longer than the library waits to repeat a frame by itself
)

// Step is something that comes back some time after the message.
type Step struct {
	After time.Duration
	Ack   int
	Reply string
}

// Recipient is one kind of person. Error and Trouble meet the first Times arrivals of a message; 0: each.
type Recipient struct {
	Suffix       string
	Steps        []Step
	Error        int
	Backoff      int
	Trouble      string
	Times        int
	Lost         bool // taken, then the connection closes without an answer
	NotTaken     bool // the connection closes before the message is taken
	NoAck        bool
	Late         bool
	Slow         bool
	Absent       bool // not on WhatsApp
	Unrecognised bool // a repeated id is shown again
}

func steps(pairs ...any) []Step {
	var out []Step
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Step{After: time.Duration(pairs[i].(int)) * time.Millisecond, Ack: pairs[i+1].(int)})
	}
	return out
}

func answering(reply string) []Step {
	return append(steps(200, AckDelivered, 500, AckRead), Step{After: 700 * time.Millisecond, Reply: reply})
}

var plainSteps = steps(200, AckDelivered, 500, AckRead)

// Plain is every number that is no test recipient.
var Plain = Recipient{Steps: plainSteps}

var table = []Recipient{
	{Suffix: "00", Steps: plainSteps},
	{Suffix: "01", Steps: steps(200, AckDelivered)},
	{Suffix: "02"},
	{Suffix: "04", Steps: steps(200, AckDelivered, 500, AckRead, 800, AckPlayed)},
	{Suffix: "05", Steps: answering(ReplyEcho)},
	{Suffix: "06", Steps: answering(ReplyStop)},
	{Suffix: "07", Steps: answering(ReplyThumb)},
	{Suffix: "10", Steps: plainSteps, Error: 503, Times: 1},
	{Suffix: "11", Steps: plainSteps, Error: 503, Times: 2},
	{Suffix: "12", Error: 503},
	{Suffix: "13", Steps: plainSteps, Error: 429, Backoff: 1, Times: 1},
	{Suffix: "14", Steps: plainSteps, Slow: true},
	{Suffix: "40", Absent: true, Error: 404},
	{Suffix: "41", Error: 403},
	{Suffix: "42", Error: 404},
	{Suffix: "43", Steps: plainSteps, Trouble: TroubleNewChats, Times: 1},
	{Suffix: "44", Steps: plainSteps, Trouble: TroubleRestricted, Times: 1},
	{Suffix: "45", Error: 415},
	{Suffix: "60", Steps: steps(200, AckRead, 500, AckDelivered)},
	{Suffix: "61", Steps: steps(200, AckDelivered, 200, AckDelivered, 500, AckRead, 500, AckRead)},
	{Suffix: "62", NoAck: true},
	{Suffix: "63", Steps: []Step{{After: LateAck, Ack: AckServer}}, Late: true},
	{Suffix: "64", Steps: plainSteps, Lost: true, Times: 1},
	{Suffix: "65", Steps: plainSteps, NotTaken: true, Times: 1},
	{Suffix: "66", Lost: true, Unrecognised: true},
	{Suffix: "80", Steps: plainSteps, Trouble: TroubleLoggedOut, Times: 1},
	{Suffix: "81", Steps: plainSteps, Trouble: TroubleOffline, Times: 1},
	{Suffix: "82", Steps: plainSteps, Trouble: TroubleReplaced, Times: 1},
}

// BySuffix finds the recipients by their two digits.
var BySuffix = func() map[string]Recipient {
	out := map[string]Recipient{}
	for _, one := range table {
		out[one.Suffix] = one
	}
	return out
}()

var (
	testPerson = regexp.MustCompile(`^120255501(\d\d)@c\.us$`)
	testGroup  = regexp.MustCompile(`^1203630000000001(\d\d)@g\.us$`)
)

// Suffix gives the two digits of a test recipient or test group.
func Suffix(chatID string) (string, bool) {
	for _, shape := range []*regexp.Regexp{testPerson, testGroup} {
		if match := shape.FindStringSubmatch(chatID); match != nil {
			return match[1], true
		}
	}
	return "", false
}

// Of gives the recipient of a chat: by hand, else by suffix, else plain.
func Of(chatID string, byHand map[string]string) Recipient {
	if suffix, ok := byHand[chatID]; ok {
		return BySuffix[suffix]
	}
	if suffix, ok := Suffix(chatID); ok {
		if one, known := BySuffix[suffix]; known {
			return one
		}
	}
	return Plain
}

// Members are the numbers in a test group beside the phone.
func Members(chatID string) []string {
	match := testGroup.FindStringSubmatch(chatID)
	if match == nil {
		return nil
	}
	last := match[1][1:]
	return []string{"120255502" + last + "1", "120255502" + last + "2", "120255502" + last + "3"}
}
