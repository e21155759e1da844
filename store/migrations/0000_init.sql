CREATE SEQUENCE "public"."positions" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "assistants" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"body" json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "facts" (
	"name" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant" text NOT NULL,
	"key" text NOT NULL,
	"request" text NOT NULL,
	"run_id" text NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "idempotency_keys_tenant_key_pk" PRIMARY KEY("tenant","key")
);
--> statement-breakpoint
CREATE TABLE "messages" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"thread_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"role" text NOT NULL,
	"status" text NOT NULL,
	"content" json NOT NULL,
	"metadata" json NOT NULL,
	"assistant_id" text,
	"run_id" text,
	"brought_by" text,
	"round" integer,
	"incomplete_reason" text,
	"completed_at" bigint,
	"incomplete_at" bigint
);
--> statement-breakpoint
CREATE TABLE "rounds" (
	"run_id" text NOT NULL,
	"round" integer NOT NULL,
	"thread_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"calls" json NOT NULL,
	"outputs" json NOT NULL,
	"done" boolean DEFAULT false NOT NULL,
	"accepted_after" bigint,
	"accepted_by" text,
	CONSTRAINT "rounds_run_id_round_pk" PRIMARY KEY("run_id","round")
);
--> statement-breakpoint
CREATE TABLE "run_events" (
	"run_id" text NOT NULL,
	"seq" bigint NOT NULL,
	"event" text NOT NULL,
	"data" json NOT NULL,
	CONSTRAINT "run_events_run_id_seq_pk" PRIMARY KEY("run_id","seq")
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"thread_id" text NOT NULL,
	"assistant_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"status" text NOT NULL,
	"started_at" bigint,
	"expires_at" bigint,
	"cancelled_at" bigint,
	"failed_at" bigint,
	"completed_at" bigint,
	"ended_at" bigint,
	"cancel_asked_at" bigint,
	"config" json NOT NULL,
	"metadata" json NOT NULL,
	"required" json,
	"last_error" json,
	"incomplete_reason" text,
	"usage" json,
	"round" integer DEFAULT 0 NOT NULL,
	"epoch" integer DEFAULT 0 NOT NULL,
	"event_seq" bigint DEFAULT 0 NOT NULL,
	"pruned" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "steps" (
	"id" text PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"tenant" text NOT NULL,
	"thread_id" text NOT NULL,
	"assistant_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"kind" text NOT NULL,
	"round" integer NOT NULL,
	"status" text NOT NULL,
	"details" json NOT NULL,
	"last_error" json,
	"usage" json,
	"expires_at" bigint,
	"expired_at" bigint,
	"cancelled_at" bigint,
	"failed_at" bigint,
	"completed_at" bigint
);
--> statement-breakpoint
CREATE TABLE "threads" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"created_at" bigint NOT NULL,
	"metadata" json NOT NULL,
	"brought_by" text
);
--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_thread_id_threads_id_fk" FOREIGN KEY ("thread_id") REFERENCES "public"."threads"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "rounds" ADD CONSTRAINT "rounds_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "runs" ADD CONSTRAINT "runs_thread_id_threads_id_fk" FOREIGN KEY ("thread_id") REFERENCES "public"."threads"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "steps" ADD CONSTRAINT "steps_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "assistants_page" ON "assistants" USING btree ("tenant","position");--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "messages_page" ON "messages" USING btree ("thread_id","position");--> statement-breakpoint
CREATE INDEX "messages_of_run" ON "messages" USING btree ("run_id") WHERE run_id is not null;--> statement-breakpoint
CREATE INDEX "rounds_of_thread" ON "rounds" USING btree ("thread_id","position");--> statement-breakpoint
CREATE UNIQUE INDEX "runs_live" ON "runs" USING btree ("thread_id") WHERE status in ('queued', 'in_progress', 'requires_action', 'cancelling');--> statement-breakpoint
CREATE INDEX "runs_page" ON "runs" USING btree ("thread_id","position");--> statement-breakpoint
CREATE INDEX "runs_live_by_age" ON "runs" USING btree ("position") WHERE status in ('queued', 'in_progress', 'requires_action', 'cancelling');--> statement-breakpoint
CREATE INDEX "runs_unpruned" ON "runs" USING btree ("ended_at") WHERE ended_at is not null and pruned < 2;--> statement-breakpoint
CREATE INDEX "steps_page" ON "steps" USING btree ("run_id","position");