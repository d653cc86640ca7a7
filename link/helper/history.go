package helper

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// historyBatch is how many chats one event holds: it must fit into a frame.
const historyBatch = 20

// history passes on what conversations need: names, and the last messages of each chat.
func (p *phone) history(ctx context.Context, e *events.HistorySync) {
	switch e.Data.GetSyncType() {
	case waHistorySync.HistorySync_INITIAL_BOOTSTRAP, waHistorySync.HistorySync_RECENT, waHistorySync.HistorySync_FULL:
	default:
		return
	}
	chats := []any{}
	flush := func() {
		if len(chats) > 0 {
			p.say.event("history", map[string]any{"chats": chats})
			chats = []any{}
		}
	}
	for _, conversation := range e.Data.GetConversations() {
		if chat := p.conversation(ctx, conversation); chat != nil {
			chats = append(chats, chat)
		}
		if len(chats) == historyBatch {
			flush()
		}
	}
	flush()
}

func (p *phone) conversation(ctx context.Context, c *waHistorySync.Conversation) map[string]any {
	jid, err := types.ParseJID(c.GetID())
	if err != nil || jid.Server == types.BroadcastServer || jid.Server == types.NewsletterServer {
		return nil
	}
	chat := p.address(ctx, jid, types.EmptyJID)
	data := map[string]any{"chat": chat.text, "name": c.GetName(), "unread": c.GetUnreadCount(),
		"last_message_s": c.GetConversationTimestamp()}
	chat.addLID(data, "chat_lid")
	messages := []any{}
	for _, one := range c.GetMessages() {
		if len(messages) == historyPerChat {
			break
		}
		event, err := p.client.ParseWebMessage(jid, one.GetMessage())
		if err != nil {
			continue
		}
		if message := p.describe(ctx, event); message != nil {
			messages = append(messages, message)
		}
	}
	data["messages"] = messages
	return data
}
