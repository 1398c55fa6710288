import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

interface Props {
    readonly src: string | undefined;
    readonly name: string;
    readonly size?: 'small' | 'large';
    /** Set on its corner. */
    readonly badge?: { readonly kind: 'good' | 'bad' | 'waiting'; readonly mark: ComponentChildren };
}

/** Says nothing by itself: the name is always written beside it. */
export function Logo({ src, name, size = 'small', badge }: Props) {
    const [hasFailed, setFailed] = useState(false);
    return (
        <span class={`logo ${size}`} aria-hidden="true">
            {src === undefined || hasFailed ? (
                <span class="monogram">{name.trim().charAt(0).toUpperCase() || '?'}</span>
            ) : (
                // Lazy before it has an address: the other way round all of a long list would be fetched.
                <img loading="lazy" decoding="async" src={src} alt="" onError={() => setFailed(true)} />
            )}
            {badge && <span class={`badge-mark ${badge.kind}`}>{badge.mark}</span>}
        </span>
    );
}
