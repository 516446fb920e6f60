import type { Schema } from "./schema";

/** For tests: as msgspec writes it for a struct with endpoints, headers, secrets, unions and durations. */
export const HTTP: Schema = {
  title: "HttpOptions",
  type: "object",
  properties: {
    strict: { type: "boolean", default: true },
    endpoints: { type: "array", items: { $ref: "#/$defs/Endpoint" }, minItems: 1, title: "Endpoints" },
    ratio: { anyOf: [{ type: "number", minimum: 0, exclusiveMaximum: 1 }, { type: "null" }], default: 0.5 },
  },
  required: ["endpoints"],
  additionalProperties: false,
  $defs: {
    Endpoint: {
      title: "Endpoint",
      description: "One address.",
      type: "object",
      properties: {
        method: { enum: ["GET", "HEAD"], default: "GET" },
        url: { title: "URL", description: "What is asked.", type: "string", pattern: "^https?://" },
        timeout: { type: "string", format: "duration", examples: ["30s", "5m"], default: "10s" },
        status: { type: "array", items: { type: "integer", minimum: 100 }, default: [200] },
        headers: {
          type: "object",
          additionalProperties: { type: "string", format: "password" },
          default: {},
        },
        auth: {
          anyOf: [
            {
              anyOf: [{ $ref: "#/$defs/Basic" }, { $ref: "#/$defs/Bearer" }],
              discriminator: { propertyName: "how", mapping: {} },
            },
            { type: "null" },
          ],
          default: null,
        },
        password: { anyOf: [{ type: "string", format: "password" }, { type: "null" }], default: null },
        inner: { anyOf: [{ $ref: "#/$defs/Endpoint" }, { type: "null" }], default: null },
      },
      required: ["url"],
    },
    Basic: {
      title: "Basic",
      type: "object",
      properties: { how: { enum: ["basic"] }, user: { type: "string" } },
      required: ["how", "user"],
    },
    Bearer: {
      title: "Bearer",
      type: "object",
      properties: { how: { const: "bearer" }, token: { type: "string", format: "password" } },
      required: ["how", "token"],
    },
  },
};
