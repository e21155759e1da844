CREATE TABLE "approvals" (
	"id" text PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"tenant" text NOT NULL,
	"thread_id" text NOT NULL,
	"assistant_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"round" integer NOT NULL,
	"call_id" text NOT NULL,
	"tool" text NOT NULL,
	"asked_at" bigint,
	"due_at" bigint NOT NULL,
	"run_expires_at" bigint,
	"on_deadline" text NOT NULL,
	"answer_within" bigint,
	"status" text NOT NULL,
	"late" boolean DEFAULT false NOT NULL,
	"call" json NOT NULL,
	"decision" json,
	"decided_at" bigint,
	"requested_by" text,
	"older" boolean DEFAULT false NOT NULL,
	"changed_in" bigint DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
	"changed" bigint DEFAULT nextval('positions') NOT NULL,
	"bytes" integer
);
--> statement-breakpoint
ALTER TABLE "rounds" ADD COLUMN "listed" boolean;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "awaiting" json;--> statement-breakpoint
ALTER TABLE "approvals" ADD CONSTRAINT "approvals_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "approvals_of_run" ON "approvals" USING btree ("run_id");--> statement-breakpoint
CREATE INDEX "approvals_waiting" ON "approvals" USING btree ("due_at","position") WHERE status = 'waiting';--> statement-breakpoint
CREATE INDEX "approvals_waiting_of_tenant" ON "approvals" USING btree ("tenant","due_at","position") WHERE status = 'waiting';--> statement-breakpoint
CREATE INDEX "approvals_past" ON "approvals" USING btree ("status","changed");--> statement-breakpoint
CREATE INDEX "approvals_past_of_tenant" ON "approvals" USING btree ("tenant","status","changed");--> statement-breakpoint
CREATE INDEX "approvals_changes" ON "approvals" USING btree ("changed_in","changed");--> statement-breakpoint
CREATE INDEX "approvals_older" ON "approvals" USING btree ("run_id") WHERE older and status = 'waiting';--> statement-breakpoint
CREATE INDEX "rounds_unlisted" ON "rounds" USING btree ("run_id") WHERE listed is null and calls::text like '%"kind":"approval"%';--> statement-breakpoint
CREATE INDEX "runs_page_of_tenant" ON "runs" USING btree ("tenant","position");--> statement-breakpoint
CREATE INDEX "runs_page_of_all" ON "runs" USING btree ("position");