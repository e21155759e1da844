CREATE TABLE "provider_cooldowns" (
	"provider" text NOT NULL,
	"model" text NOT NULL,
	"reason" text NOT NULL,
	"until" double precision NOT NULL,
	"times" integer NOT NULL,
	CONSTRAINT "provider_cooldowns_provider_model_pk" PRIMARY KEY("provider","model")
);
