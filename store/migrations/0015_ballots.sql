ALTER TABLE "approvals" ADD COLUMN "ballot" json;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "comments" json;--> statement-breakpoint
CREATE FUNCTION "approvals_webhooks_noticed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  call json := json_build_object('id', new.id, 'kind', new.kind, 'tool', new.tool, 'due_at', new.due_at, 'on_deadline', new.on_deadline);
  data json := json_build_object('thread_id', new.thread_id, 'assistant_id', new.assistant_id, 'approval', call);
BEGIN
  IF new.ballot ->> 'remindedAt' IS NOT NULL AND old.ballot ->> 'remindedAt' IS NULL THEN
    PERFORM add_webhook_event(new.tenant, new.run_id, 'approval.reminded', (new.ballot ->> 'remindedAt')::bigint, data);
  END IF;
  IF new.ballot ->> 'escalatedAt' IS NOT NULL AND old.ballot ->> 'escalatedAt' IS NULL THEN
    PERFORM add_webhook_event(new.tenant, new.run_id, 'approval.escalated', (new.ballot ->> 'escalatedAt')::bigint, data);
  END IF;
  RETURN NULL;
END
$$;--> statement-breakpoint
CREATE TRIGGER "approvals_webhooks_noticed" AFTER UPDATE ON "approvals" FOR EACH ROW
  WHEN (old.ballot::text IS DISTINCT FROM new.ballot::text) EXECUTE FUNCTION "approvals_webhooks_noticed"();
