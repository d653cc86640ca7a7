package testnetwork

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"go.mau.fi/libsignal/groups"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/util/dbutil"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"heliograph/link/testnetwork/behaviour"
)

// keepGroupKey gives a member the key that opens the sender's messages in this group.
func (c *client) keepGroupKey(ctx context.Context, a *arrival, who *person, key *waE2E.SenderKeyDistributionMessage) error {
	message, err := protocol.NewSenderKeyDistributionMessageFromBytes(key.GetAxolotlSenderKeyDistributionMessage(), serializer.SenderKeyDistributionMessage)
	if err != nil {
		return err
	}
	name := protocol.NewSenderKeyName(a.to.String(), c.lidJID().SignalAddress())
	return groups.NewGroupSessionBuilder(who.keys, serializer).Process(ctx, name, message)
}

// openGroup decrypts the one copy that is for all members, with the keys of one of them.
func (c *client) openGroup(ctx context.Context, a *arrival, reader *person) (*waE2E.Message, bool, error) {
	for _, enc := range a.node.GetChildrenByTag("enc") {
		body, ok := enc.Content.([]byte)
		if attr(&enc, "type") != "skmsg" || !ok {
			continue
		}
		if reader == nil {
			members, err := c.network.peopleOf(ctx, a.chatID, c.number)
			if err != nil || len(members) == 0 {
				return nil, true, err
			}
			reader = members[0]
		}
		message, err := protocol.NewSenderKeyMessageFromBytes(body, serializer.SenderKeyMessage)
		if err != nil {
			return nil, true, err
		}
		name := protocol.NewSenderKeyName(a.to.String(), c.lidJID().SignalAddress())
		builder := groups.NewGroupSessionBuilder(reader.keys, serializer)
		plain, err := unpad(groups.NewGroupCipher(builder, name, reader.keys).Decrypt(ctx, message))
		if err != nil {
			return nil, true, err
		}
		out := &waE2E.Message{}
		return out, true, proto.Unmarshal(plain, out)
	}
	return nil, false, nil
}

// sealForGroup encrypts a member's message with a group key of its own. The key goes with it, to each device.
func (p *person) sealForGroup(ctx context.Context, group types.JID, plain []byte) (key, body []byte, err error) {
	name := protocol.NewSenderKeyName(group.String(), p.lidJID().SignalAddress())
	builder := groups.NewGroupSessionBuilder(p.keys, serializer)
	distribution, err := builder.Create(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	key, err = proto.Marshal(&waE2E.Message{SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{
		GroupID: proto.String(group.String()), AxolotlSenderKeyDistributionMessage: distribution.Serialize(),
	}})
	if err != nil {
		return nil, nil, err
	}
	sealed, err := groups.NewGroupCipher(builder, name, p.keys).Encrypt(ctx, pad(plain))
	if err != nil {
		return nil, nil, err
	}
	return key, sealed.SignedSerialize(), nil
}

// memberNumbers are the people of a group; test groups have three of their own.
func (n *Network) memberNumbers(ctx context.Context, chatID string) ([]string, error) {
	var out []string
	err := n.journal.each(ctx, func(row dbutil.Scannable) error {
		var number string
		err := row.Scan(&number)
		out = append(out, number)
		return err
	}, "SELECT number FROM linked_members WHERE chat_id = $1 ORDER BY number", chatID)
	if len(out) == 0 {
		out = behaviour.Members(chatID)
	}
	return out, err
}

// groupQuery answers what is asked about groups, and changes them.
func (c *client) groupQuery(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, int, error) {
	n := c.network
	to := jidAttr(node, "to")
	chatID := to.User + "@g.us"
	for _, child := range node.GetChildren() {
		switch child.Tag {
		case "create":
			return c.createGroup(ctx, &child)
		case "participating":
			return c.joinedGroups(ctx)
		case "leave":
			for _, group := range child.GetChildrenByTag("group") {
				id := jidAttr(&group, "id").User
				if id == "" {
					id = strings.TrimSuffix(attr(&group, "id"), "@g.us")
				}
				if err := n.journal.exec(ctx, "DELETE FROM linked_members WHERE chat_id = $1 AND number = $2", id+"@g.us", c.number); err != nil {
					return nil, 0, err
				}
			}
			return nil, 0, nil
		}
	}
	code, err := c.mayUse(ctx, chatID)
	if code != 0 || err != nil {
		return nil, code, err
	}
	for _, child := range node.GetChildren() {
		switch child.Tag {
		case "query":
			group, err := n.groupNode(ctx, chatID, c.number)
			return []waBinary.Node{group}, 0, err
		case "add", "remove", "promote", "demote":
			return c.changeMembers(ctx, chatID, &child)
		case "subject":
			return nil, 0, c.changeSubject(ctx, chatID, textOf(&child))
		}
	}
	return nil, 501, nil
}

// mayUse: 404 for a group that does not exist, 403 for one that this phone is not in.
func (c *client) mayUse(ctx context.Context, chatID string) (int, error) {
	var subject string
	found, err := c.network.journal.one(ctx, []any{&subject}, "SELECT subject FROM linked_groups WHERE chat_id = $1", chatID)
	if err != nil {
		return 0, err
	}
	if !found {
		if len(behaviour.Members(chatID)) > 0 {
			return 0, nil // everybody is in a test group
		}
		return 404, nil
	}
	var one int
	member, err := c.network.journal.one(ctx, []any{&one}, "SELECT 1 FROM linked_members WHERE chat_id = $1 AND number = $2", chatID, c.number)
	if !member {
		return 403, err
	}
	return 0, err
}

func (c *client) createGroup(ctx context.Context, create *waBinary.Node) ([]waBinary.Node, int, error) {
	n := c.network
	random, err := rand.Int(rand.Reader, big.NewInt(1e12))
	if err != nil {
		return nil, 0, err
	}
	chatID := fmt.Sprintf("120363%012d@g.us", random.Int64())
	err = n.journal.transaction(ctx, func(ctx context.Context) error {
		if err := n.journal.exec(ctx, "INSERT INTO linked_groups (chat_id, subject, created_s, owner) VALUES ($1, $2, $3, $4)",
			chatID, attr(create, "subject"), time.Now().Unix(), c.number); err != nil {
			return err
		}
		if err := n.addMember(ctx, chatID, c.number, true); err != nil {
			return err
		}
		for _, participant := range create.GetChildrenByTag("participant") {
			who, err := n.people.byJID(ctx, jidAttr(&participant, "jid"))
			if err != nil {
				return err
			}
			if who != nil {
				if err = n.addMember(ctx, chatID, who.number, false); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	group, err := n.groupNode(ctx, chatID, c.number)
	return []waBinary.Node{group}, 0, err
}

func (n *Network) addMember(ctx context.Context, chatID, number string, admin bool) error {
	return n.journal.exec(ctx, "INSERT INTO linked_members (chat_id, number, admin) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		chatID, number, boolInt(admin))
}

func (c *client) joinedGroups(ctx context.Context) ([]waBinary.Node, int, error) {
	var ids []string
	err := c.network.journal.each(ctx, func(row dbutil.Scannable) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT chat_id FROM linked_members WHERE number = $1 ORDER BY chat_id", c.number)
	if err != nil {
		return nil, 0, err
	}
	list := []waBinary.Node{}
	for _, id := range ids {
		group, err := c.network.groupNode(ctx, id, c.number)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, group)
	}
	return []waBinary.Node{{Tag: "groups", Content: list}}, 0, nil
}

// groupNode describes a group by hidden ids, as groups of today are.
func (n *Network) groupNode(ctx context.Context, chatID, asker string) (waBinary.Node, error) {
	subject, created, owner := "Test group", int64(1_700_000_000), asker
	if _, err := n.journal.one(ctx, []any{&subject, &created, &owner},
		"SELECT subject, created_s, owner FROM linked_groups WHERE chat_id = $1", chatID); err != nil {
		return waBinary.Node{}, err
	}
	numbers, err := n.memberNumbers(ctx, chatID)
	if err != nil {
		return waBinary.Node{}, err
	}
	if len(behaviour.Members(chatID)) > 0 {
		numbers = append(numbers, asker)
	}
	members := []waBinary.Node{}
	for _, number := range numbers {
		who, err := n.people.byNumber(ctx, number)
		if err != nil {
			return waBinary.Node{}, err
		}
		attrs := waBinary.Attrs{"jid": who.lidJID(), "phone_number": who.pn()}
		if number == owner {
			attrs["type"] = "superadmin"
		}
		members = append(members, waBinary.Node{Tag: "participant", Attrs: attrs})
	}
	return waBinary.Node{Tag: "group", Attrs: waBinary.Attrs{
		"id": strings.TrimSuffix(chatID, "@g.us"), "subject": subject, "creation": created, "size": len(members),
		"creator": types.NewJID(lidOf(owner), types.HiddenUserServer), "s_t": created, "addressing_mode": "lid",
	}, Content: members}, nil
}

func (c *client) changeMembers(ctx context.Context, chatID string, change *waBinary.Node) ([]waBinary.Node, int, error) {
	n := c.network
	done := []waBinary.Node{}
	for _, participant := range change.GetChildrenByTag("participant") {
		who, err := n.people.byJID(ctx, jidAttr(&participant, "jid"))
		if err != nil {
			return nil, 0, err
		}
		if who == nil {
			continue
		}
		switch change.Tag {
		case "add":
			err = n.addMember(ctx, chatID, who.number, false)
		case "remove":
			err = n.journal.exec(ctx, "DELETE FROM linked_members WHERE chat_id = $1 AND number = $2", chatID, who.number)
		default:
			err = n.journal.exec(ctx, "UPDATE linked_members SET admin = $1 WHERE chat_id = $2 AND number = $3",
				boolInt(change.Tag == "promote"), chatID, who.number)
		}
		if err != nil {
			return nil, 0, err
		}
		done = append(done, waBinary.Node{Tag: "participant", Attrs: waBinary.Attrs{"jid": who.lidJID(), "phone_number": who.pn()}})
	}
	if err := c.tellGroup(ctx, chatID, waBinary.Node{Tag: change.Tag, Attrs: waBinary.Attrs{}, Content: done}); err != nil {
		return nil, 0, err
	}
	return []waBinary.Node{{Tag: change.Tag, Content: done}}, 0, nil
}

func (c *client) changeSubject(ctx context.Context, chatID, subject string) error {
	if err := c.network.journal.exec(ctx, "UPDATE linked_groups SET subject = $1 WHERE chat_id = $2", subject, chatID); err != nil {
		return err
	}
	return c.tellGroup(ctx, chatID, waBinary.Node{Tag: "subject", Attrs: waBinary.Attrs{
		"subject": subject, "s_t": time.Now().Unix(), "s_o": types.NewJID(lidOf(c.number), types.HiddenUserServer),
	}})
}

// tellGroup notifies the linked devices of all members.
func (c *client) tellGroup(ctx context.Context, chatID string, change waBinary.Node) error {
	numbers, err := c.network.memberNumbers(ctx, chatID)
	if err != nil {
		return err
	}
	now := time.Now()
	node := waBinary.Node{Tag: "notification", Attrs: waBinary.Attrs{
		"from": types.NewJID(strings.TrimSuffix(chatID, "@g.us"), types.GroupServer), "type": "w:gp2", "t": now.Unix(),
		"id": fmt.Sprintf("gp2-%d", now.UnixNano()), "participant": types.NewJID(lidOf(c.number), types.HiddenUserServer), "addressing_mode": "lid",
	}, Content: []waBinary.Node{change}}
	for _, number := range numbers {
		devices, err := c.network.devicesOf(ctx, number)
		if err != nil {
			return err
		}
		for _, device := range devices {
			if err = c.network.post(ctx, number, device, node); err != nil {
				return err
			}
		}
	}
	return nil
}
