import { useRef, useState } from 'preact/hooks';
import type { Words } from '../words/en.ts';

/** The id that goes into the trust policy of an AWS role. It can be copied where a frame may not use the clipboard (§3.3). */
export function CopyPanel({ value, words: { aws } }: { value: string; words: Words }) {
    const text = useRef<HTMLElement>(null);
    const [isCopied, setCopied] = useState(false);
    const copy = async (): Promise<void> => {
        try {
            await navigator.clipboard.writeText(value);
        } catch {
            window.getSelection()?.selectAllChildren(text.current!);
            document.execCommand('copy'); // oxlint-disable-line typescript/no-deprecated -- it needs no permission
        }
        setCopied(true);
    };
    return (
        <div class="field">
            <div class="label-row">
                <span class="label" id="external-id">
                    {aws.title}
                </span>
            </div>
            <div class="control" role="group" aria-labelledby="external-id" aria-describedby="external-id-text">
                <code ref={text}>{value}</code>
                <button type="button" class="copy" onClick={() => void copy()}>
                    {isCopied ? aws.copied : aws.copy}
                </button>
            </div>
            <p class="description" id="external-id-text">
                {aws.text}
            </p>
            <span class="unseen" role="status">
                {isCopied ? aws.copied : ''}
            </span>
        </div>
    );
}
