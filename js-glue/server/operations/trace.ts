/** Spans for whoever has set an OpenTelemetry SDK up; without one every call here is empty. */

import {
  type Attributes,
  context,
  defaultTextMapGetter,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

declare const __OAS_VERSION__: string;

const tracer = () => trace.getTracer("offline-ai-sync", __OAS_VERSION__);

async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The code only: texts of errors may hold data.
    const code = (error as { code?: unknown } | null)?.code;
    span.setStatus({ code: SpanStatusCode.ERROR, message: typeof code === "string" ? code : "error" });
    throw error;
  } finally {
    span.end();
  }
}

/** A request's span, continuing the trace its `traceparent` header names. */
export function traced<T>(
  name: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  work: () => Promise<T>,
): Promise<T> {
  const parent = propagation.extract(context.active(), headers, defaultTextMapGetter);
  return tracer().startActiveSpan(name, { kind: SpanKind.SERVER }, parent, (span) => within(span, work));
}

/** A step inside the current span. Attributes never hold ids or payloads. */
export function step<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  return tracer().startActiveSpan(name, { attributes }, (span) => within(span, work));
}
