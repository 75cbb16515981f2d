export function systemSemantics(): void {}
