package helper

import (
	"context"
	"encoding/json"
	"os"

	"heliograph/link/protocol"
)

// needsConnection are the verbs that ask WhatsApp something. Those that send a message check for themselves.
var needsConnection = map[string]bool{
	"groups": true, "group": true, "group_create": true, "group_people": true, "group_subject": true, "group_leave": true,
	"check": true, "mark_read": true, "typing": true, "download": true,
}

// call runs a verb on an open session.
func (p *phone) call(ctx context.Context, request *protocol.Request, files []*os.File) (any, *protocol.Error) {
	if needsConnection[request.Verb] {
		if fail := p.ready(); fail != nil {
			return nil, fail
		}
	}
	switch request.Verb {
	case "connect":
		if fail := p.connect(ctx); fail != nil {
			return nil, fail
		}
		return p.opened(), nil
	case "state":
		return p.opened(), nil
	case "qr":
		code, shown := p.qr.now()
		if !shown {
			return nil, protocol.Fail(protocol.CodeNotConnected, "No code is shown now")
		}
		return code, nil
	case "pair_code":
		return with(request.Args, func(args PairCodeArgs) (any, *protocol.Error) { return p.pairCode(ctx, args) })
	case "passkey_answer":
		return with(request.Args, func(args PasskeyAnswerArgs) (any, *protocol.Error) { return p.passkeyAnswer(ctx, args) })
	case "passkey_confirm":
		return p.passkeyConfirm(ctx)
	case "logout":
		return p.logout(ctx)
	case "send":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args protocol.SendArgs) (any, *protocol.Error) {
			return p.send(ctx, request.Call, args, files)
		})
	case "edit", "revoke", "react", "vote":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args protocol.ChangeArgs) (any, *protocol.Error) {
			return p.change(ctx, request.Call, request.Verb, args)
		})
	case "download":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args DownloadArgs) (any, *protocol.Error) { return p.download(ctx, args, files) })
	case "mark_read":
		return with(request.Args, func(args ReadArgs) (any, *protocol.Error) { return p.markRead(ctx, args) })
	case "typing":
		return with(request.Args, func(args TypingArgs) (any, *protocol.Error) { return p.typing(ctx, args) })
	case "check":
		return with(request.Args, func(args PeopleArgs) (any, *protocol.Error) { return p.check(ctx, args) })
	case "resolve":
		return with(request.Args, func(args PeopleArgs) (any, *protocol.Error) { return p.resolve(ctx, args) })
	default:
		return p.callGroup(ctx, request)
	}
}

func (p *phone) callGroup(ctx context.Context, request *protocol.Request) (any, *protocol.Error) {
	verbs := map[string]func(context.Context, GroupArgs) (any, *protocol.Error){
		"groups":        func(ctx context.Context, _ GroupArgs) (any, *protocol.Error) { return p.groups(ctx) },
		"group":         p.group,
		"group_create":  p.groupCreate,
		"group_people":  p.groupPeople,
		"group_subject": p.groupSubject,
		"group_leave":   p.groupLeave,
	}
	verb, known := verbs[request.Verb]
	if !known {
		return nil, protocol.Fail(protocol.CodeUnknownVerb, "There is no verb %q", request.Verb)
	}
	return with(request.Args, func(args GroupArgs) (any, *protocol.Error) { return verb(ctx, args) })
}

func with[T any](raw json.RawMessage, run func(T) (any, *protocol.Error)) (any, *protocol.Error) {
	var args T
	if fail := protocol.Decode(raw, &args); fail != nil {
		return nil, notSent(fail)
	}
	return run(args)
}
