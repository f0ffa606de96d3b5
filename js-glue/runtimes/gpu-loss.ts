/** Notices that a WebGL context is gone: work on it then ends with zeros, or never, but with no error of its own. */

interface Context {
  readonly canvas?: { addEventListener?(type: string, listener: () => void, options?: { once: boolean }): void };
  isContextLost?(): boolean;
}

export const isLost = (context: unknown): boolean => (context as Context | undefined)?.isContextLost?.() === true;

/** Rejects when the context is lost; never resolves. */
export function contextLoss(context: unknown): Promise<never> {
  const lost = new Promise<never>((_, reject) => {
    const gone = (): void => reject(new Error("the WebGL context was lost"));
    if (isLost(context)) gone();
    (context as Context | undefined)?.canvas?.addEventListener?.("webglcontextlost", gone, { once: true });
  });
  lost.catch(() => undefined); // whoever races with it hears of it; nobody else needs to
  return lost;
}
