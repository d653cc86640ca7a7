package helper

import (
	"context"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"heliograph/link/protocol"
)

// GroupArgs are the arguments of the verbs about groups.
type GroupArgs struct {
	Group   string   `json:"group,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Action  string   `json:"action,omitempty"`
	People  []string `json:"people,omitempty"`
}

var participantActions = map[string]whatsmeow.ParticipantChange{
	"add":     whatsmeow.ParticipantChangeAdd,
	"remove":  whatsmeow.ParticipantChangeRemove,
	"promote": whatsmeow.ParticipantChangePromote,
	"demote":  whatsmeow.ParticipantChangeDemote,
}

func (p *phone) groups(ctx context.Context) (any, *protocol.Error) {
	joined, err := p.client.GetJoinedGroups(ctx)
	if err != nil {
		return nil, classify(err)
	}
	out := make([]map[string]any, len(joined))
	for i, group := range joined {
		out[i] = p.groupData(ctx, group, false)
	}
	return map[string]any{"groups": out}, nil
}

func (p *phone) group(ctx context.Context, args GroupArgs) (any, *protocol.Error) {
	jid, fail := parseGroup(args.Group)
	if fail != nil {
		return nil, fail
	}
	info, err := p.client.GetGroupInfo(ctx, jid)
	if err != nil {
		return nil, classify(err)
	}
	return p.groupData(ctx, info, true), nil
}

func (p *phone) groupCreate(ctx context.Context, args GroupArgs) (any, *protocol.Error) {
	people, fail := p.people(ctx, args.People)
	if fail != nil {
		return nil, fail
	}
	if args.Subject == "" {
		return nil, protocol.Fail(protocol.CodeBadArgument, "subject is empty")
	}
	info, err := p.client.CreateGroup(ctx, whatsmeow.ReqCreateGroup{Name: args.Subject, Participants: people})
	if err != nil {
		return nil, classify(err)
	}
	return p.groupData(ctx, info, true), nil
}

func (p *phone) groupPeople(ctx context.Context, args GroupArgs) (any, *protocol.Error) {
	jid, fail := parseGroup(args.Group)
	if fail != nil {
		return nil, fail
	}
	action, known := participantActions[args.Action]
	if !known {
		return nil, protocol.Fail(protocol.CodeBadArgument, "action must be add, remove, promote or demote")
	}
	people, fail := p.people(ctx, args.People)
	if fail != nil {
		return nil, fail
	}
	changed, err := p.client.UpdateGroupParticipants(ctx, jid, people, action)
	if err != nil {
		return nil, classify(err)
	}
	out := make([]map[string]any, len(changed))
	for i := range changed {
		out[i] = p.participant(ctx, &changed[i])
	}
	return map[string]any{"people": out}, nil
}

func (p *phone) groupSubject(ctx context.Context, args GroupArgs) (any, *protocol.Error) {
	jid, fail := parseGroup(args.Group)
	if fail != nil {
		return nil, fail
	}
	if args.Subject == "" {
		return nil, protocol.Fail(protocol.CodeBadArgument, "subject is empty")
	}
	if err := p.client.SetGroupName(ctx, jid, args.Subject); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}

func (p *phone) groupLeave(ctx context.Context, args GroupArgs) (any, *protocol.Error) {
	jid, fail := parseGroup(args.Group)
	if fail != nil {
		return nil, fail
	}
	if err := p.client.LeaveGroup(ctx, jid); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}

func parseGroup(text string) (types.JID, *protocol.Error) {
	jid, fail := parseAddress(text)
	if fail == nil && jid.Server != types.GroupServer {
		fail = protocol.Fail(protocol.CodeBadAddress, "%q is not a group", text)
	}
	return jid, fail
}

func (p *phone) people(ctx context.Context, texts []string) ([]types.JID, *protocol.Error) {
	if len(texts) == 0 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "people is empty")
	}
	out := make([]types.JID, len(texts))
	for i, text := range texts {
		jid, fail := parseAddress(text)
		if fail != nil {
			return nil, fail
		}
		out[i] = p.wireAddress(ctx, jid)
	}
	return out, nil
}

func (p *phone) groupData(ctx context.Context, group *types.GroupInfo, people bool) map[string]any {
	size := group.ParticipantCount
	if len(group.Participants) > 0 {
		size = len(group.Participants)
	}
	data := map[string]any{
		"group": group.JID.String(), "subject": group.Name, "size": size,
		"announce": group.IsAnnounce, "locked": group.IsLocked, "created_s": unix(group.GroupCreated),
	}
	if people {
		members := make([]map[string]any, len(group.Participants))
		for i := range group.Participants {
			members[i] = p.participant(ctx, &group.Participants[i])
		}
		data["people"] = members
	}
	return data
}

func (p *phone) participant(ctx context.Context, one *types.GroupParticipant) map[string]any {
	other := one.LID
	if one.JID.Server == types.HiddenUserServer {
		other = one.PhoneNumber
	}
	who := p.address(ctx, one.JID, other)
	data := map[string]any{"chat": who.text, "admin": one.IsAdmin}
	who.addLID(data, "lid")
	if one.Error != 0 {
		data["error"] = one.Error
	}
	return data
}

// groupChanged reports who came and went, and a new subject.
func (p *phone) groupChanged(ctx context.Context, e *events.GroupInfo) {
	data := map[string]any{"change": "changed", "group": map[string]any{"group": e.JID.String()}, "timestamp_s": unix(e.Timestamp)}
	if e.Name != nil {
		data["subject"] = e.Name.Name
	}
	for name, people := range map[string][]types.JID{"joined": e.Join, "left": e.Leave, "promoted": e.Promote, "demoted": e.Demote} {
		if len(people) == 0 {
			continue
		}
		texts := make([]string, len(people))
		for i, jid := range people {
			texts[i] = p.address(ctx, jid, types.EmptyJID).text
		}
		data[name] = texts
	}
	if e.Delete != nil {
		data["change"] = "deleted"
	}
	p.say.event("group", data)
}
